// The virtual processor: blocks of warps, lanes that part at branches and meet
// again, and barriers.
//
// Of the groups of lanes that a warp has fallen into, the one that is least far
// in the program goes first, so that lanes that parted meet at the next
// instruction common to them, as compilers lay code out. Blocks are shared
// among VIRTUALGPU_THREADS threads (all processors), in order.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "parallel.h"
#include "ptx.h"

namespace ptx {
namespace {

void start(Warp &w, Block &b, const uint64_t *constants, int index, Grid threads, size_t dynamic) {
  const Kernel &k = *b.kernel;
  w.block = &b;
  w.constants = constants;
  w.rows.assign(size_t(k.rows) * lanes, 0);
  w.local.resize(size_t(k.local_bytes) * lanes);
  int count = threads.x * threads.y * threads.z;
  for (int l = 0; l < lanes; l++) {
    unsigned t = index * lanes + l;
    w.out(tid_x)[l] = t % threads.x;
    w.out(tid_y)[l] = t / threads.x % threads.y;
    w.out(tid_z)[l] = t / threads.x / threads.y;
    w.out(ntid_x)[l] = threads.x;
    w.out(ntid_y)[l] = threads.y;
    w.out(ntid_z)[l] = threads.z;
    w.out(laneid)[l] = l;
    w.out(warpid)[l] = index;
    w.out(nwarpid)[l] = (count + lanes - 1) / lanes;
    uint32_t bit = 1u << l;
    w.out(lanemask_eq)[l] = bit;
    w.out(lanemask_lt)[l] = bit - 1;
    w.out(lanemask_le)[l] = (bit - 1) | bit;
    w.out(lanemask_gt)[l] = ~((bit - 1) | bit);
    w.out(lanemask_ge)[l] = ~(bit - 1);
    w.out(nsmid)[l] = 132;
    w.out(dynamic_smem)[l] = dynamic;
    w.out(total_smem)[l] = b.shared.size();
  }
  int here = std::min(lanes, count - index * lanes);
  w.live = here == lanes ? ~0u : (1u << here) - 1;
  w.groups.assign(1, Group{0, w.live, Group::runs, 0, 0});
}

uint32_t guarded(Warp &w, const Instruction &i, uint32_t mask) {
  if (i.guard < 0) return mask;
  const uint64_t *p = w.in(i.guard);
  uint32_t result = 0;
  for (int l = 0; l < lanes; l++) result |= uint32_t((p[l] & 1) != i.guard_not) << l;
  return result & mask;
}

uint64_t first(const uint64_t *row, uint32_t mask) { return row[__builtin_ctz(mask)]; }

// advance runs a warp until it has ended or all that is left of it waits at a
// barrier. It reports whether anything was done.
bool advance(Warp &w) {
  const auto &code = w.block->kernel->code;
  bool done = false, forced = false;
  for (;;) {
    // Groups at one place are one.
    auto &gs = w.groups;
    for (size_t i = 0; i < gs.size(); i++)
      for (size_t j = i + 1; j < gs.size();)
        if (gs[j].pc == gs[i].pc && gs[j].state != Group::at_barrier && gs[i].state != Group::at_barrier) {
          gs[i].mask |= gs[j].mask;
          gs[i].state = Group::runs;
          gs.erase(gs.begin() + j);
        } else {
          j++;
        }
    Group *g = nullptr, *waiting = nullptr;
    for (auto &c : gs) {
      if (c.state == Group::runs && (!g || c.pc < g->pc)) g = &c;
      if (c.state == Group::at_warp && (!waiting || c.pc < waiting->pc)) waiting = &c;
    }
    if (!g) {
      if (!waiting) return done;
      // The lanes that this group waits for are elsewhere for good: what it
      // asks of them is undefined, and it goes on without them.
      g = waiting;
      g->state = Group::runs;
      forced = true;
    }
    done = true;
    int limit = INT32_MAX;
    for (auto &c : gs)
      if (&c != g && c.state != Group::at_barrier && c.pc > g->pc) limit = std::min(limit, c.pc);
    int pc = g->pc;
    bool stop = false;
    while (!stop && pc < limit) {
      const Instruction &in = code[pc];
      uint32_t m = guarded(w, in, g->mask);
      switch (in.flow) {
      case Flow::next:
        if (m) in.run(w, in, m);
        pc++;
        break;
      case Flow::branch:
        if (m == g->mask) {
          stop = in.target <= pc && gs.size() > 1; // the others may be behind now
          pc = in.target;
        } else if (m == 0) {
          pc++;
        } else {
          g->mask &= ~m;
          g->pc = pc + 1;
          gs.push_back(Group{in.target, m, Group::runs, 0, 0});
          stop = true;
          pc = -1;
          break;
        }
        break;
      case Flow::exit:
        if (m && in.number) throw Error("the kernel stopped itself (trap or assertion): " + w.block->kernel->lines[in.line]);
        w.live &= ~m;
        g->mask &= ~m;
        pc++;
        stop = true;
        break;
      case Flow::barrier: {
        if (m != g->mask && m) {
          g->mask &= ~m;
          g->pc = pc + 1;
          gs.push_back(Group{pc, m, Group::runs, 0, 0});
          g = &gs.back();
        } else if (!m) {
          pc++;
          break;
        }
        g->pc = pc;
        g->state = Group::at_barrier;
        g->barrier = uint32_t(first(w.in(in.from[0]), g->mask));
        g->expected = uint32_t(first(w.in(in.from[1]), g->mask));
        stop = true;
        pc = -1;
        break;
      }
      case Flow::warp: {
        uint32_t need = m ? uint32_t(first(w.in(in.from[in.from_count - 1]), m)) & w.live : 0;
        if ((m & need) == need || forced) {
          if (m) in.run(w, in, m);
          pc++;
          forced = false;
          break;
        }
        g->state = Group::at_warp;
        g->pc = pc;
        stop = true;
        pc = -1;
        break;
      }
      }
    }
    if (pc >= 0) g->pc = pc;
    gs.erase(std::remove_if(gs.begin(), gs.end(), [](const Group &c) { return c.mask == 0; }), gs.end());
    if (gs.empty()) return true;
  }
}

void run(Block &b) {
  for (;;) {
    bool alive = false, moved = false;
    for (auto &w : b.warps) {
      moved |= advance(w);
      alive |= !w.groups.empty();
    }
    if (!alive) return;
    // Which barriers are complete?
    int threads = 0;
    std::map<int, std::pair<int, int>> arrived;
    for (auto &w : b.warps) {
      threads += __builtin_popcount(w.live);
      for (auto &g : w.groups)
        if (g.state == Group::at_barrier) {
          auto &a = arrived[g.barrier];
          a.first += __builtin_popcount(g.mask);
          a.second = g.expected;
        }
    }
    bool released = false;
    for (auto &[id, a] : arrived) {
      if (a.first < (a.second ? a.second : threads)) continue;
      for (auto &w : b.warps)
        for (auto &g : w.groups)
          if (g.state == Group::at_barrier && g.barrier == id) {
            g.state = Group::runs;
            g.pc++;
            released = true;
          }
    }
    if (!released && !moved) throw Error("the threads of a block wait for one another");
  }
}

} // namespace

void launch(const Kernel &k, Grid blocks, Grid threads, void **arguments, size_t dynamic) {
  size_t per_block = size_t(threads.x) * threads.y * threads.z;
  size_t count = size_t(blocks.x) * blocks.y * blocks.z;
  if (per_block == 0 || per_block > 1024 || count == 0) throw Error("a launch of no or too many threads");
  std::vector<uint8_t> parameters(k.parameter_bytes + 16);
  for (size_t i = 0; i < k.parameters.size(); i++)
    memcpy(parameters.data() + k.parameters[i].first, arguments[i], k.parameters[i].second);
  std::vector<uint64_t> constants(k.constants.size() * lanes);
  for (size_t i = 0; i < k.constants.size(); i++) {
    uint64_t v = k.constants[i].value;
    if (k.constants[i].of_parameters) v += reinterpret_cast<uint64_t>(parameters.data());
    std::fill_n(constants.begin() + i * lanes, lanes, v);
  }
  std::atomic<size_t> next{0};
  std::mutex lock;
  std::string failed;
  auto work = [&] {
    Block b;
    b.kernel = &k;
    b.warps.resize((per_block + lanes - 1) / lanes);
    try {
      for (size_t i; (i = next++) < count;) {
        b.shared.assign(k.shared_bytes + dynamic, 0xff);
        for (size_t j = 0; j < b.warps.size(); j++) {
          Warp &w = b.warps[j];
          start(w, b, constants.data(), j, threads, dynamic);
          for (int l = 0; l < lanes; l++) {
            w.out(ctaid_x)[l] = i % blocks.x;
            w.out(ctaid_y)[l] = i / blocks.x % blocks.y;
            w.out(ctaid_z)[l] = i / blocks.x / blocks.y;
            w.out(nctaid_x)[l] = blocks.x;
            w.out(nctaid_y)[l] = blocks.y;
            w.out(nctaid_z)[l] = blocks.z;
          }
        }
        run(b);
      }
    } catch (const std::exception &e) {
      std::lock_guard<std::mutex> hold(lock);
      if (failed.empty()) failed = e.what();
      next = count;
    }
  };
  size_t n = std::min(size_t(virtualgpu::threads()), count);
  std::vector<std::thread> others;
  if (n > 1 && count * per_block >= 1024)
    for (size_t i = 1; i < n; i++) others.emplace_back(work);
  work();
  for (auto &t : others) t.join();
  if (!failed.empty()) throw Error(failed + " (" + k.name + ")");
}

} // namespace ptx
