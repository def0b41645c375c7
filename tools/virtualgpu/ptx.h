// What the parts of the virtual device's processor share: a kernel of PTX,
// decoded, and the state of a block that runs it.
//
// Thirty-two threads, a warp, take each instruction together, as lanes under a
// mask. A register is a row of 32 cells of 8 bytes; a value lies in the low
// bytes of its cell. Constants and symbols are rows too, so every operand is
// one.
#pragma once
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace ptx {

constexpr int lanes = 32;
using Row = uint64_t *;

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Warp;
struct Instruction;
using Function = void (*)(Warp &, const Instruction &, uint32_t mask);

enum class Flow : uint8_t {
  next,    // computes, and goes on with the next instruction
  branch,  // to target
  exit,    // the thread ends
  barrier, // waits for the block: source 0 the barrier, source 1 the threads
  warp,    // waits for the lanes of a mask, the last source, then computes
};

struct Instruction {
  Function run = nullptr;
  Flow flow = Flow::next;
  int32_t guard = -1; // the predicate's row
  bool guard_not = false;
  bool ftz = false, sat = false;
  int32_t to[4] = {-1, -1, -1, -1};     // rows written
  int32_t from[5] = {0, 0, 0, 0, 0};    // rows read; below 0 the constants
  int from_count = 0;
  int64_t number = 0;                   // an offset, a count, or a mode
  int target = -1;
  int line = 0;                         // of Kernel::lines
};

// Rows that a warp begins with.
enum Special {
  tid_x, tid_y, tid_z, ntid_x, ntid_y, ntid_z, ctaid_x, ctaid_y, ctaid_z, nctaid_x, nctaid_y, nctaid_z,
  laneid, warpid, nwarpid, lanemask_eq, lanemask_lt, lanemask_le, lanemask_gt, lanemask_ge, clock_row, smid, nsmid, gridid,
  dynamic_smem, total_smem, specials,
};

struct Constant {
  uint64_t value = 0;
  bool of_parameters = false; // value is an offset in the kernel's parameters
};

struct Kernel {
  std::string name;
  std::vector<std::pair<int, int>> parameters; // offset and size
  int parameter_bytes = 0;
  int shared_bytes = 0, local_bytes = 0;
  int rows = specials;
  std::vector<Constant> constants;
  std::vector<Instruction> code;
  std::vector<std::string> lines; // the source of each instruction, for messages
};

// Module is one PTX text; kernels are decoded when they are first asked for.
class Module {
 public:
  explicit Module(std::string text);
  const Kernel &kernel(const std::string &name);
  // variable returns where a variable of the module lies in the device's memory.
  uint64_t variable(const std::string &name, size_t *bytes = nullptr);

 private:
  friend struct Decoder;
  struct Variable { uint64_t at; size_t bytes; bool shared; };
  void declare(const std::string &statement);
  std::string text;
  std::map<std::string, size_t> functions; // name → where its declaration begins
  std::map<std::string, Variable> variables;
  std::map<std::string, std::unique_ptr<Kernel>> decoded;
};

struct Grid { unsigned x = 1, y = 1, z = 1; };

// launch runs every block of a grid. It throws Error.
void launch(const Kernel &, Grid blocks, Grid threads, void **arguments, size_t dynamic_shared);

struct Block;

// Group is a set of a warp's lanes at one instruction.
struct Group {
  int pc = 0;
  uint32_t mask = 0;
  enum { runs, at_barrier, at_warp } state = runs;
  int barrier = 0, expected = 0;
};

struct Warp {
  Block *block = nullptr;
  std::vector<uint64_t> rows;
  const uint64_t *constants = nullptr;
  std::vector<uint8_t> local;
  std::vector<Group> groups;
  uint32_t live = 0;

  const uint64_t *in(int i) const { return i >= 0 ? rows.data() + size_t(i) * lanes : constants + size_t(~i) * lanes; }
  Row out(int i) { return rows.data() + size_t(i) * lanes; }
};

struct Block {
  const Kernel *kernel;
  std::vector<uint8_t> shared;
  std::vector<Warp> warps;
};

// select finds what an instruction computes. parts are the words of its name.
void select(Instruction &, const std::vector<std::string> &parts);

} // namespace ptx

// The device's memory. Its addresses cannot be read by the host's code, as on a
// real device; see memory.cc.
namespace device {
void *allocate(size_t bytes); // nullptr when there is not enough
bool release(void *);
void *allocate_host(size_t bytes);
bool release_host(void *);
// host returns where the host can reach an address of the device, of pinned
// memory, or, with anything, of any memory of the host; nullptr if it may not.
void *host(const void *address, size_t bytes, bool anything = false);
bool owns(const void *address);
size_t total();
size_t available();
size_t peak();
} // namespace device
