// Runs the tests of the virtual device's libraries; says which expectations fail.
#include "reference.h"

void testConvolutions();
void testGraphs();
void testElements();
void testProducts();

int main() {
  testConvolutions();
  testGraphs();
  testElements();
  testProducts();
  printf("%d failures\n", failures);
  return failures != 0;
}
