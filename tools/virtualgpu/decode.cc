// From PTX text to instructions: names to rows, labels to indices, functions
// inlined where they are called.
#include <cctype>
#include <cstdlib>

#include "ptx.h"

namespace ptx {
namespace {

bool word(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.'; }

std::string trim(const std::string &s) {
  size_t a = s.find_first_not_of(" \t\r\n"), b = s.find_last_not_of(" \t\r\n");
  return a == std::string::npos ? "" : s.substr(a, b - a + 1);
}

// split cuts at a separator that stands outside of brackets.
std::vector<std::string> split(const std::string &s, char separator) {
  std::vector<std::string> parts;
  int depth = 0;
  std::string part;
  for (char c : s) {
    if (c == '{' || c == '[' || c == '(') depth++;
    if (c == '}' || c == ']' || c == ')') depth--;
    if (c == separator && depth == 0) {
      parts.push_back(trim(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!trim(part).empty()) parts.push_back(trim(part));
  return parts;
}

std::vector<std::string> fields(const std::string &s) {
  std::vector<std::string> parts;
  std::string part;
  for (char c : s + " ") {
    if (isspace(static_cast<unsigned char>(c))) {
      if (!part.empty()) parts.push_back(part);
      part.clear();
    } else {
      part += c;
    }
  }
  return parts;
}

int type_bytes(const std::string &t) {
  if (t == ".pred") return 1;
  int bits = atoi(t.c_str() + t.find_first_of("0123456789"));
  return bits / 8;
}

// Declaration is a variable: ".align 4 .b8 name[1024]" or ".u32 name".
struct Declaration {
  std::string name;
  int align = 1, bytes = 0;
  bool unsized = false;
  std::string initial;
};

Declaration declaration(std::string s) {
  Declaration d;
  size_t equals = s.find('=');
  if (equals != std::string::npos) {
    d.initial = trim(s.substr(equals + 1));
    s = s.substr(0, equals);
  }
  int size = 1;
  bool aligned = false;
  for (auto f = fields(s); !f.empty(); f.erase(f.begin())) {
    if (f[0] == ".align") {
      d.align = atoi(f[1].c_str());
      aligned = true;
      f.erase(f.begin());
    } else if (f[0] == ".ptr" || f[0] == ".global" || f[0] == ".const" || f[0] == ".shared" || f[0] == ".visible" || f[0] == ".extern" ||
               f[0] == ".weak" || f[0] == ".param" || f[0] == ".local" || f[0] == ".volatile" || f[0] == ".common") {
      continue;
    } else if (f[0][0] == '.') {
      size = type_bytes(f[0]);
    } else {
      std::string n = f[0];
      d.bytes = size;
      size_t bracket = n.find('[');
      d.name = n.substr(0, bracket);
      while (bracket != std::string::npos) {
        if (n[bracket + 1] == ']') {
          d.unsized = true;
          d.bytes = 0;
        } else {
          d.bytes *= atoi(n.c_str() + bracket + 1);
        }
        bracket = n.find('[', bracket + 1);
      }
      break;
    }
  }
  if (!aligned) d.align = size;
  return d;
}

int round_up(int n, int to) { return (n + to - 1) / to * to; }

} // namespace

// Scope is what a pair of braces or an inlined function knows by name.
struct Scope {
  Scope *outer = nullptr;
  std::map<std::string, int> registers;
  std::map<std::string, int> ranges;  // "%r" → the row of %r0
  std::map<std::string, int64_t> shared, local;
  std::map<std::string, int> parameters; // offset in the kernel's parameters
  std::map<std::string, std::map<int64_t, int>> slots; // of a call's parameters: offset → row
  std::map<std::string, std::string> passed;  // a function's parameter → the caller's slots
  Scope *caller = nullptr;                    // where those are
  std::map<std::string, int> labels;
};

struct Decoder {
  Module &module;
  Kernel &kernel;
  std::map<std::pair<uint64_t, bool>, int> constants;
  std::vector<std::unique_ptr<Scope>> scopes;
  struct Jump { size_t at; Scope *scope; std::string label; };
  std::vector<Jump> jumps;
  std::map<std::string, int64_t> statics; // the module's shared variables that are used
  std::string doing;

  Scope *open(Scope *outer) {
    scopes.emplace_back(new Scope);
    scopes.back()->outer = outer;
    return scopes.back().get();
  }

  [[noreturn]] void fail(const std::string &why) const { throw Error("PTX: " + why + ": " + doing + " (" + kernel.name + ")"); }

  int row() { return kernel.rows++; }

  int constant(uint64_t value, bool of_parameters = false) {
    auto [i, fresh] = constants.try_emplace({value, of_parameters}, ~int(kernel.constants.size()));
    if (fresh) kernel.constants.push_back({value, of_parameters});
    return i->second;
  }

  // find returns the row of a register, or -1.
  int find(Scope *s, const std::string &name) {
    static const std::map<std::string, int> special{
        {"%tid.x", tid_x}, {"%tid.y", tid_y}, {"%tid.z", tid_z}, {"%ntid.x", ntid_x}, {"%ntid.y", ntid_y}, {"%ntid.z", ntid_z},
        {"%ctaid.x", ctaid_x}, {"%ctaid.y", ctaid_y}, {"%ctaid.z", ctaid_z}, {"%nctaid.x", nctaid_x}, {"%nctaid.y", nctaid_y},
        {"%nctaid.z", nctaid_z}, {"%laneid", laneid}, {"%warpid", warpid}, {"%nwarpid", nwarpid}, {"%lanemask_eq", lanemask_eq},
        {"%lanemask_lt", lanemask_lt}, {"%lanemask_le", lanemask_le}, {"%lanemask_gt", lanemask_gt}, {"%lanemask_ge", lanemask_ge},
        {"%clock", clock_row}, {"%clock64", clock_row}, {"%globaltimer", clock_row}, {"%smid", smid}, {"%nsmid", nsmid},
        {"%gridid", gridid}, {"%dynamic_smem_size", dynamic_smem}, {"%total_smem_size", total_smem}};
    if (auto i = special.find(name); i != special.end()) return i->second;
    size_t digits = name.find_last_not_of("0123456789") + 1;
    std::string prefix = name.substr(0, digits);
    for (; s; s = s->outer) {
      if (auto i = s->registers.find(name); i != s->registers.end()) return i->second;
      if (digits < name.size())
        if (auto i = s->ranges.find(prefix); i != s->ranges.end()) return i->second + atoi(name.c_str() + digits);
    }
    return -1;
  }

  // symbol returns the address of a variable as a constant.
  bool symbol(Scope *s, const std::string &name, int64_t offset, int &result) {
    for (Scope *t = s; t; t = t->outer) {
      if (auto i = t->shared.find(name); i != t->shared.end()) return result = constant(i->second + offset), true;
      if (auto i = t->local.find(name); i != t->local.end()) return result = constant(i->second + offset), true;
      if (auto i = t->parameters.find(name); i != t->parameters.end()) return result = constant(i->second + offset, true), true;
    }
    auto v = module.variables.find(name);
    if (v == module.variables.end()) return false;
    if (v->second.shared) {
      auto [i, fresh] = statics.try_emplace(name, 0);
      if (fresh && v->second.bytes > 0) {
        kernel.shared_bytes = round_up(kernel.shared_bytes, 16);
        i->second = kernel.shared_bytes;
        kernel.shared_bytes += v->second.bytes;
      } else if (fresh) {
        i->second = -1; // dynamic: behind the others
      }
      if (i->second < 0) {
        dynamic.push_back({~int(kernel.constants.size()), offset});
        kernel.constants.push_back({});
        return result = dynamic.back().first, true;
      }
      return result = constant(i->second + offset), true;
    }
    return result = constant(module.variable(name) + offset), true;
  }
  std::vector<std::pair<int, int64_t>> dynamic; // constants that hold the address of dynamic shared memory

  static bool number(const std::string &s, uint64_t &value) {
    const char *p = s.c_str();
    if (s.size() > 2 && p[0] == '0' && (p[1] == 'f' || p[1] == 'F')) return value = strtoull(p + 2, nullptr, 16), true;
    if (s.size() > 2 && p[0] == '0' && (p[1] == 'd' || p[1] == 'D')) return value = strtoull(p + 2, nullptr, 16), true;
    if (!isdigit(static_cast<unsigned char>(p[0])) && !(p[0] == '-' && isdigit(static_cast<unsigned char>(p[1])))) return false;
    if (s.find('.') != std::string::npos) throw Error("PTX: a decimal fraction: " + s);
    bool negative = p[0] == '-';
    if (negative) p++;
    value = p[0] == '0' && (p[1] == 'b' || p[1] == 'B') ? strtoull(p + 2, nullptr, 2) : strtoull(p, nullptr, 0);
    if (negative) value = -value;
    return true;
  }

  int operand(Scope *s, const std::string &text) {
    if (text == "_") return row();
    if (int r = find(s, text); r >= 0) return r;
    uint64_t n;
    if (number(text, n)) return constant(n);
    std::string name = text;
    int64_t offset = 0;
    if (size_t plus = text.find_first_of("+-", 1); plus != std::string::npos) {
      name = trim(text.substr(0, plus));
      offset = strtoll(text.c_str() + plus, nullptr, 0);
    }
    int r;
    if (symbol(s, name, offset, r)) return r;
    fail("unknown name " + text);
  }

  // slot returns the row of a call's parameter at an offset.
  bool slot(Scope *s, const std::string &name, int64_t offset, int &r) {
    for (Scope *t = s; t; t = t->outer) {
      if (auto i = t->passed.find(name); i != t->passed.end()) return slot(t->caller, i->second, offset, r);
      auto i = t->slots.find(name);
      if (i == t->slots.end()) continue;
      auto [at, fresh] = i->second.try_emplace(offset, 0);
      if (fresh) at->second = row();
      r = at->second;
      return true;
    }
    return false;
  }

  void add(Instruction i) {
    i.line = kernel.lines.size();
    kernel.lines.push_back(doing);
    kernel.code.push_back(i);
  }

  void registers(Scope *s, const std::string &text) {
    auto f = fields(text); // .reg .b32 names
    std::string names;
    for (size_t i = 1; i < f.size(); i++)
      if (f[i][0] != '.') names += f[i];
    for (auto &n : split(names, ',')) {
      size_t angle = n.find('<');
      if (angle == std::string::npos) {
        s->registers[n] = row();
        continue;
      }
      s->ranges[n.substr(0, angle)] = kernel.rows;
      kernel.rows += atoi(n.c_str() + angle + 1);
    }
  }

  void variable(Scope *s, const std::string &text) {
    Declaration d = declaration(text);
    if (text.compare(0, 7, ".shared") == 0) {
      kernel.shared_bytes = round_up(kernel.shared_bytes, d.align);
      s->shared[d.name] = kernel.shared_bytes;
      kernel.shared_bytes += d.bytes;
    } else if (text.compare(0, 6, ".local") == 0) {
      kernel.local_bytes = round_up(kernel.local_bytes, d.align);
      s->local[d.name] = kernel.local_bytes;
      kernel.local_bytes += d.bytes;
    } else {
      s->slots[d.name]; // a call's parameter
    }
  }

  // address cuts "[base+offset]".
  static std::pair<std::string, int64_t> address(const std::string &text) {
    std::string t = trim(text.substr(1, text.size() - 2));
    size_t plus = t.find_first_of("+-", 1);
    if (plus == std::string::npos) return {t, 0};
    std::string offset = trim(t.substr(plus));
    if (offset[0] == '+') offset = trim(offset.substr(1));
    return {trim(t.substr(0, plus)), strtoll(offset.c_str(), nullptr, 0)};
  }

  std::vector<std::string> vector(const std::string &text) {
    return text[0] == '{' ? split(text.substr(1, text.size() - 2), ',') : std::vector<std::string>{text};
  }

  void statement(Scope *s, std::string text) {
    doing = text;
    Instruction in;
    if (text[0] == '@') {
      size_t space = text.find_first_of(" \t");
      std::string p = text.substr(1, space - 1);
      in.guard_not = p[0] == '!';
      in.guard = find(s, in.guard_not ? p.substr(1) : p);
      if (in.guard < 0) fail("unknown predicate");
      text = trim(text.substr(space));
    }
    size_t space = text.find_first_of(" \t\n");
    std::string name = text.substr(0, space);
    std::vector<std::string> operands = space == std::string::npos ? std::vector<std::string>{} : split(text.substr(space), ',');
    std::vector<std::string> parts = split(name, '.');
    while (parts.size() == 1 && parts[0].find("::") != std::string::npos) fail("unknown instruction");
    const std::string &op = parts[0];

    if (op == "bra") {
      in.flow = Flow::branch;
      jumps.push_back({kernel.code.size(), s, operands.at(0)});
      return add(in);
    }
    if (op == "ret" || op == "exit" || op == "trap") {
      for (Scope *t = s; op == "ret" && t; t = t->outer)
        if (t->caller) { // of an inlined function
          in.flow = Flow::branch;
          jumps.push_back({kernel.code.size(), t, "return"});
          return add(in);
        }
      in.flow = Flow::exit;
      in.number = op == "trap";
      return add(in);
    }
    if (op == "call") return call(s, in, text.substr(space));
    if (op == "bar" || op == "barrier") {
      bool of_warp = false, reduces = false;
      for (auto &p : parts) {
        of_warp |= p == "warp";
        reduces |= p == "red" || p == "arrive";
      }
      if (reduces) fail("not implemented");
      if (!of_warp) {
        in.flow = Flow::barrier;
        in.from[0] = operands.empty() ? constant(0) : operand(s, operands[0]);
        in.from[1] = operands.size() > 1 ? operand(s, operands[1]) : constant(0);
        return add(in);
      }
    }

    // A guard on operands: "!%p" is a predicate of its own.
    auto value = [&](const std::string &o) {
      if (o[0] != '!') return operand(s, o);
      Instruction inverse;
      inverse.to[0] = row();
      inverse.from[0] = operand(s, trim(o.substr(1)));
      inverse.from_count = 1;
      select(inverse, {"not", "pred"});
      add(inverse);
      return inverse.to[0];
    };
    auto read = [&](int r) {
      if (in.from_count == 5) fail("too many operands");
      in.from[in.from_count++] = r;
    };

    bool loads = op == "ld" || op == "ldu", stores = op == "st";
    if (loads || stores) {
      auto list = vector(operands[loads ? 0 : 1]);
      auto [base, offset] = address(operands[loads ? 1 : 0]);
      int step = type_bytes(parts.back());
      int r;
      if (slot(s, base, offset, r)) { // of a call: a move for each element
        for (size_t i = 0; i < list.size(); i++) {
          Instruction move = in;
          slot(s, base, offset + step * int64_t(i), r);
          move.to[0] = loads ? operand(s, list[i]) : r;
          move.from[0] = loads ? r : operand(s, list[i]);
          move.from_count = 1;
          select(move, {"mov", parts.back()});
          add(move);
        }
        return;
      }
      read(operand(s, base));
      in.number = offset;
      if (list.size() > 4) fail("a vector of more than 4");
      for (size_t i = 0; i < list.size(); i++) {
        if (loads) in.to[i] = operand(s, list[i]);
        else read(operand(s, list[i]));
      }
    } else if (op == "mov" && operands.size() == 2 && (operands[0][0] == '{' || operands[1][0] == '{')) {
      bool packs = operands[1][0] == '{';
      auto list = vector(operands[packs ? 1 : 0]);
      if (packs) {
        in.to[0] = operand(s, operands[0]);
        for (auto &o : list) read(operand(s, o));
      } else {
        for (size_t i = 0; i < list.size(); i++) in.to[i] = operand(s, list[i]);
        read(operand(s, operands[1]));
      }
      in.number = list.size();
      parts = {packs ? "pack" : "unpack", parts.back()};
    } else {
      size_t first = 0;
      bool writes = op != "red" && op != "membar" && op != "fence" && op != "nanosleep" && op != "bar" && op != "barrier" && op != "cp" &&
                    op != "griddepcontrol" && op != "prefetch" && op != "discard";
      if (writes && !operands.empty()) {
        size_t bar = operands[0].find('|');
        in.to[0] = operand(s, trim(operands[0].substr(0, bar)));
        if (bar != std::string::npos) in.to[1] = operand(s, trim(operands[0].substr(bar + 1)));
        first = 1;
      }
      for (size_t i = first; i < operands.size(); i++) {
        if (operands[i][0] == '[') {
          auto [base, offset] = address(operands[i]);
          read(operand(s, base));
          if (offset != 0 && in.number != 0) fail("two offsets");
          if (offset != 0) in.number = offset;
        } else {
          read(value(operands[i]));
        }
      }
    }
    try {
      select(in, parts);
    } catch (const Error &e) {
      fail(e.what());
    }
    add(in);
  }

  // call inlines a function: "(result), name, (arguments)".
  void call(Scope *s, Instruction guard, const std::string &text) {
    std::string results, arguments, name;
    for (auto &part : split(text, ',')) {
      if (part[0] != '(') name = part;
      else (name.empty() ? results : arguments) = part.substr(1, part.size() - 2);
    }
    auto f = module.functions.find(name);
    if (f == module.functions.end()) fail("a call of an unknown function");
    size_t at = f->second, body = module.text.find('{', at), end = module.text.find(';', at);
    if (body == std::string::npos || end < body) {
      // Of the system: an assertion, or printing. Reaching it is an error.
      Instruction stop = guard;
      stop.flow = Flow::exit;
      stop.number = 1;
      return add(stop);
    }
    if (guard.guard >= 0) fail("a call under a predicate");
    std::vector<std::string> names;
    std::string head = module.text.substr(at, body - at);
    size_t label = head.find(name);
    auto parameters = [&](const std::string &list) {
      size_t a = list.find('('), b = list.rfind(')');
      if (a == std::string::npos) return std::vector<std::string>{};
      std::vector<std::string> result;
      for (auto &p : split(list.substr(a + 1, b - a - 1), ',')) result.push_back(declaration(p).name);
      return result;
    };
    Scope *inner = open(nullptr);
    inner->caller = s;
    auto bind = [&](const std::vector<std::string> &formal, const std::string &actual) {
      auto given = split(actual, ',');
      if (given.size() != formal.size()) fail("a call with other parameters");
      for (size_t i = 0; i < formal.size(); i++) inner->passed[formal[i]] = given[i];
    };
    bind(parameters(head.substr(0, label)), results);
    bind(parameters(head.substr(label)), arguments);
    this->body(inner, body + 1);
    inner->labels["return"] = kernel.code.size();
  }

  // body decodes from behind an opening brace to its closing one.
  size_t body(Scope *s, size_t at) {
    const std::string &t = module.text;
    std::string part;
    int depth = 0; // of brackets within a statement
    for (; at < t.size(); at++) {
      char c = t[at];
      if (c == '/' && t[at + 1] == '/') {
        at = t.find('\n', at);
        continue;
      }
      if (c == '/' && t[at + 1] == '*') {
        at = t.find("*/", at) + 1;
        continue;
      }
      std::string have = depth == 0 ? trim(part) : "";
      if (depth == 0 && c == '{' && have.empty()) {
        at = body(open(s), at + 1);
        part.clear();
        continue;
      }
      if (depth == 0 && c == '}') return at;
      if (depth == 0 && c == ':' && t[at + 1] != ':' && !have.empty() && have.find_first_of(" \t.") == std::string::npos) {
        s->labels[have] = kernel.code.size();
        part.clear();
        continue;
      }
      if (depth == 0 && c == '\n' && (have.compare(0, 4, ".loc") == 0 || have.compare(0, 7, ".pragma") == 0) && have.back() != ';') {
        if (have.compare(0, 4, ".loc") == 0) part.clear();
        continue;
      }
      if (c == '{') depth++;
      if (c == '}') depth--;
      if (c != ';') {
        part += c;
        continue;
      }
      part.clear();
      doing = have;
      if (have.empty() || have.compare(0, 7, ".pragma") == 0) continue;
      if (have.compare(0, 4, ".reg") == 0) registers(s, have);
      else if (have[0] == '.') variable(s, have);
      else statement(s, have);
    }
    fail("no end");
  }

  void run(size_t at) {
    const std::string &t = module.text;
    size_t a = t.find('(', at), brace = t.find('{', at);
    Scope *s = open(nullptr);
    if (a < brace) {
      // The closing bracket is the last before the brace or a directive.
      size_t b = t.find("\n)", a);
      if (b == std::string::npos || b > brace) b = t.find(')', a);
      for (auto &p : split(t.substr(a + 1, b - a - 1), ',')) {
        Declaration d = declaration(p);
        kernel.parameter_bytes = round_up(kernel.parameter_bytes, d.align);
        s->parameters[d.name] = kernel.parameter_bytes;
        kernel.parameters.push_back({kernel.parameter_bytes, d.bytes});
        kernel.parameter_bytes += d.bytes;
      }
    }
    body(s, brace + 1);
    Instruction end;
    end.flow = Flow::exit;
    doing = "}";
    add(end);
    for (auto &j : jumps) {
      Scope *t = j.scope;
      while (t && !t->labels.count(j.label)) t = t->outer;
      doing = "bra " + j.label;
      if (!t) fail("no such label");
      kernel.code[j.at].target = t->labels[j.label];
    }
    kernel.shared_bytes = round_up(kernel.shared_bytes, 16);
    for (auto &[i, offset] : dynamic) kernel.constants[~i].value = kernel.shared_bytes + offset;
  }
};

Module::Module(std::string given) : text(std::move(given)) {
  // The declarations at the outer level: functions by name, and variables.
  size_t at = 0;
  while (at < text.size()) {
    size_t end = text.find_first_of(";{\n", at);
    if (end == std::string::npos) break;
    std::string head = text.substr(at, end - at);
    size_t first = head.find_first_not_of(" \t\r");
    if (first == std::string::npos || head.compare(first, 2, "//") == 0 || head.compare(first, 8, ".version") == 0 ||
        head.compare(first, 7, ".target") == 0 || head.compare(first, 13, ".address_size") == 0 || head.compare(first, 5, ".file") == 0) {
      at = text[end] == '\n' ? end + 1 : text.find('\n', end);
      continue;
    }
    bool entry = head.find(".entry") != std::string::npos, function = head.find(".func") != std::string::npos;
    if (entry || function) {
      // The name is the word before the parameters, or after those of a result.
      size_t p = text.find(entry ? ".entry" : ".func", at) + (entry ? 6 : 5);
      while (isspace(static_cast<unsigned char>(text[p]))) p++;
      if (text[p] == '(') p = text.find(')', p) + 1;
      while (isspace(static_cast<unsigned char>(text[p]))) p++;
      if (text.compare(p, 9, ".noreturn") == 0) p += 9;
      while (isspace(static_cast<unsigned char>(text[p]))) p++;
      size_t q = p;
      while (word(text[q])) q++;
      size_t brace = text.find('{', q), semicolon = text.find(';', q);
      std::string name = text.substr(p, q - p);
      if (semicolon < brace) { // only announced
        functions.try_emplace(name, at);
        at = semicolon + 1;
        continue;
      }
      functions[name] = at;
      int depth = 1;
      for (p = brace + 1; depth > 0 && p < text.size(); p++) {
        if (text[p] == '"') p = text.find('"', p + 1);
        depth += text[p] == '{' ? 1 : text[p] == '}' ? -1 : 0;
      }
      at = p;
      continue;
    }
    size_t stop = text.find(';', at);
    if (stop == std::string::npos) break;
    declare(trim(text.substr(at, stop - at)));
    at = stop + 1;
  }
}

void Module::declare(const std::string &s) {
  Declaration d = declaration(s);
  if (d.name.empty()) return;
  Variable v{0, size_t(d.bytes), s.find(".shared") != std::string::npos};
  if (!v.shared && d.bytes > 0) {
    v.at = reinterpret_cast<uint64_t>(device::allocate(d.bytes));
    auto *to = static_cast<uint8_t *>(device::host(reinterpret_cast<void *>(v.at), d.bytes));
    memset(to, 0, d.bytes);
    if (!d.initial.empty() && d.initial[0] == '{') {
      int step = type_bytes(fields(s.substr(0, s.find(d.name))).back());
      size_t i = 0;
      for (auto &e : split(d.initial.substr(1, d.initial.size() - 2), ',')) {
        uint64_t n = 0;
        if (!Decoder::number(e, n)) throw Error("PTX: the first value of " + d.name + ": " + e);
        memcpy(to + i++ * step, &n, step);
      }
    } else if (!d.initial.empty()) {
      uint64_t n = 0;
      if (!Decoder::number(d.initial, n)) throw Error("PTX: the first value of " + d.name);
      memcpy(to, &n, d.bytes);
    }
  }
  variables[d.name] = v;
}

uint64_t Module::variable(const std::string &name, size_t *bytes) {
  auto v = variables.find(name);
  if (v == variables.end()) return 0;
  if (bytes) *bytes = v->second.bytes;
  return v->second.at;
}

const Kernel &Module::kernel(const std::string &name) {
  auto &k = decoded[name];
  if (!k) {
    auto f = functions.find(name);
    if (f == functions.end()) throw Error("the PTX holds no kernel " + name);
    auto fresh = std::make_unique<Kernel>();
    fresh->name = name;
    Decoder{*this, *fresh, {}, {}, {}, {}, {}, {}}.run(f->second);
    k = std::move(fresh);
  }
  return *k;
}

} // namespace ptx
