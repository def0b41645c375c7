// An expression over flat vectors in one pass: an optimizer's update.
#pragma once

#include "channels.cuh"

constexpr int kMostInputs = 16, kMostOutputs = 8, kMostInstructions = 48, kMostRegisters = 80;

enum Code { kAdd, kSub, kMul, kDiv, kMax, kMin, kNeg, kSqrt, kAbs, kSign };

struct Instruction {
  unsigned char code, a, b, unused;
};

// Program is a list of instructions over registers: first the inputs, vectors and
// then scalars; then constants made of runs; then what each instruction computes.
// Results are the registers to store.
struct Program {
  const float *in[kMostInputs];
  float *out[kMostOutputs];
  const long long *ends;  // of the runs of all constants, one after the other
  const float *values;
  int run_counts[kMostInputs];
  int vectors, scalars, constants, instructions, results;
  Instruction instruction[kMostInstructions];
  unsigned char result[kMostOutputs];
};

// constant finds the run that holds element i.
__device__ inline float constant(const long long *ends, const float *values, int runs, long long i) {
  int low = 0, high = runs - 1;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (i < ends[middle]) high = middle;
    else low = middle + 1;
  }
  return values[low];
}

__device__ inline float applied(int code, float a, float b) {
  switch (code) {
    case kAdd: return a + b;
    case kSub: return a - b;
    case kMul: return a * b;
    case kDiv: return a / b;
    case kMax: return a > b || a != a ? a : b;
    case kMin: return a < b || a != a ? a : b;
    case kNeg: return -a;
    case kSqrt: return sqrtf(a);
    case kAbs: return fabsf(a);
    default: return a > 0 ? 1.0f : a < 0 ? -1.0f : a;
  }
}

extern "C" __global__ void __launch_bounds__(256) elementwise(Program p, long long size) {
  float r[kMostRegisters];
  const int inputs = p.vectors + p.scalars, made = inputs + p.constants;
  for (int k = p.vectors; k < inputs; k++) r[k] = p.in[k][0];
  for (long long i = (long long)blockIdx.x * kThreads + threadIdx.x; i < size; i += (long long)gridDim.x * kThreads) {
    for (int k = 0; k < p.vectors; k++) r[k] = p.in[k][i];
    int first = 0;
    for (int k = 0; k < p.constants; k++) {
      r[inputs + k] = constant(p.ends + first, p.values + first, p.run_counts[k], i);
      first += p.run_counts[k];
    }
    for (int k = 0; k < p.instructions; k++) {
      const Instruction n = p.instruction[k];
      r[made + k] = applied(n.code, r[n.a], r[n.b]);
    }
    for (int k = 0; k < p.results; k++) p.out[k][i] = r[p.result[k]];
  }
}
