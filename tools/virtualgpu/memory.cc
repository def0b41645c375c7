// Memory of the virtual device: a range of addresses that the host's code
// faults on, as it would with a real device's, and a second view of the same
// pages through which the virtual processor works.
//
// VIRTUALGPU_MEMORY_MIB is how much there is (4096). New memory holds NaN, so
// that what nobody wrote shows; without numerics it is never touched, and may be
// larger than the host's.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

#include "parallel.h"
#include "ptx.h"

namespace device {
namespace {

constexpr size_t granule = 512;

struct Memory {
  size_t size = 4096ul << 20;
  char *address = nullptr, *view = nullptr; // of the device, of the host
  int file = -1;
  std::map<size_t, size_t> used; // offset → bytes
  std::map<const char *, size_t> pinned;
  std::vector<uint8_t> alive; // of each granule: whether it is allocated
  size_t taken = 0, most = 0;
  std::mutex lock;

  Memory() {
    if (const char *s = getenv("VIRTUALGPU_MEMORY_MIB")) size = strtoull(s, nullptr, 10) << 20;
    file = memfd_create("virtualgpu", 0);
    if (file < 0 || ftruncate(file, size) != 0) fail();
    view = static_cast<char *>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0));
    address = static_cast<char *>(mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (view == MAP_FAILED || address == MAP_FAILED) fail();
    alive.resize(size / granule);
  }
  [[noreturn]] static void fail() {
    fprintf(stderr, "virtualgpu: cannot map the device's memory; lower VIRTUALGPU_MEMORY_MIB\n");
    abort();
  }
};

Memory &memory() {
  static Memory *m = new Memory; // outlives every library that uses it
  return *m;
}

} // namespace

void *allocate(size_t bytes) {
  Memory &m = memory();
  std::lock_guard<std::mutex> hold(m.lock);
  bytes = (bytes + granule - 1) / granule * granule;
  if (bytes == 0) bytes = granule;
  size_t at = 0;
  for (auto &[offset, n] : m.used) { // the first gap that is large enough
    if (offset - at >= bytes) break;
    at = offset + n;
  }
  if (at + bytes > m.size) return nullptr;
  m.used[at] = bytes;
  memset(m.alive.data() + at / granule, 1, bytes / granule);
  m.taken += bytes;
  if (m.taken > m.most) m.most = m.taken;
  if (virtualgpu::numerics()) memset(m.view + at, 0xff, bytes);
  return m.address + at;
}

bool release(void *p) {
  if (!p) return true;
  Memory &m = memory();
  std::lock_guard<std::mutex> hold(m.lock);
  size_t offset = static_cast<char *>(p) - m.address;
  auto i = m.used.find(offset);
  if (!owns(p) || i == m.used.end()) return false;
  fallocate(m.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, i->second);
  memset(m.alive.data() + offset / granule, 0, i->second / granule);
  m.taken -= i->second;
  m.used.erase(i);
  return true;
}

void *allocate_host(size_t bytes) {
  Memory &m = memory();
  void *p = aligned_alloc(4096, (bytes + 4096) / 4096 * 4096);
  std::lock_guard<std::mutex> hold(m.lock);
  if (p) m.pinned[static_cast<char *>(p)] = bytes;
  return p;
}

bool release_host(void *p) {
  Memory &m = memory();
  std::lock_guard<std::mutex> hold(m.lock);
  if (p && !m.pinned.erase(static_cast<char *>(p))) return false;
  free(p);
  return true;
}

bool owns(const void *p) {
  Memory &m = memory();
  const char *c = static_cast<const char *>(p);
  return c >= m.address && c < m.address + m.size;
}

void *host(const void *p, size_t bytes, bool anything) {
  Memory &m = memory();
  const char *c = static_cast<const char *>(p);
  if (c >= m.address && c < m.address + m.size) {
    size_t first = c - m.address, last = first + bytes - 1;
    if (last >= m.size || !m.alive[first / granule] || !m.alive[last / granule]) return nullptr;
    return m.view + first;
  }
  if (anything) return const_cast<void *>(p);
  std::lock_guard<std::mutex> hold(m.lock);
  auto i = m.pinned.upper_bound(c);
  if (i == m.pinned.begin()) return nullptr;
  --i;
  return c + bytes <= i->first + i->second ? const_cast<void *>(p) : nullptr;
}

size_t total() { return memory().size; }
size_t available() { return memory().size - memory().taken; }
size_t peak() { return memory().most; }

} // namespace device

// What the other libraries of the device use to reach its memory.
extern "C" void *virtualgpu_host(const void *p) { return device::host(p, 1, true); }
