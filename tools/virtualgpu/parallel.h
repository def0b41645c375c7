// Work in parallel: parts of a loop on as many threads as there are cores.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

namespace virtualgpu __attribute__((visibility("hidden"))) {

// threads is VIRTUALGPU_THREADS, or else the number of cores.
inline int64_t threads() {
  static const int64_t n = [] {
    const char *s = getenv("VIRTUALGPU_THREADS");
    int64_t given = s ? atoll(s) : 0;
    return given > 0 ? given : std::max<int64_t>(1, std::thread::hardware_concurrency());
  }();
  return n;
}

// numerics is false where VIRTUALGPU_NUMERICS=0 asks for what the host does
// alone: nothing is computed.
inline bool numerics() {
  static const bool on = [] {
    const char *s = getenv("VIRTUALGPU_NUMERICS");
    return !s || atoi(s) != 0;
  }();
  return on;
}

// parallel calls f(i) for every i below n. work is roughly the number of
// operations of all calls together: a thread costs more than a few thousand.
template <class F> void parallel(int64_t n, double work, F f) {
  if (!numerics()) return;
  int64_t many = std::min({threads(), n, int64_t(work / 100000) + 1});
  if (many <= 1) {
    for (int64_t i = 0; i < n; i++) f(i);
    return;
  }
  std::atomic<int64_t> next{0};
  auto run = [&] {
    for (int64_t i; (i = next++) < n;) f(i);
  };
  std::vector<std::thread> others;
  for (int64_t t = 1; t < many; t++) others.emplace_back(run);
  run();
  for (auto &t : others) t.join();
}

} // namespace virtualgpu
