#include "fatbinary.h"

#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace {

// The layout is NVIDIA's and undocumented; what follows holds for CUDA 11 to 13.
struct Wrapper {
  uint32_t magic, version;
  const uint8_t *data;
  void *file;
};
struct Header {
  uint32_t magic;
  uint16_t version, size;
  uint64_t bytes; // of the parts that follow
};
struct Part {
  uint16_t kind, version;
  uint32_t size; // of this header
  uint64_t bytes;
  uint32_t compressed, unknown1;
  uint16_t minor, major;
  uint32_t architecture;
  uint32_t name_at, name_size;
  uint64_t flags, unknown2, plain;
};
constexpr uint16_t is_ptx = 1;
constexpr uint64_t by_lz4 = 0x2000, by_zstd = 0x8000;

// lz4 expands a block of LZ4's format.
std::string lz4(const uint8_t *p, size_t n, size_t plain) {
  const uint8_t *end = p + n;
  std::string out;
  out.reserve(plain);
  auto length = [&](size_t v) {
    if (v == 15)
      for (uint8_t more = 255; more == 255 && p < end; v += more) more = *p++;
    return v;
  };
  while (p < end) {
    uint8_t token = *p++;
    size_t literals = length(token >> 4);
    if (literals > size_t(end - p)) break;
    out.append(reinterpret_cast<const char *>(p), literals);
    p += literals;
    if (p + 2 > end) break;
    size_t back = p[0] | p[1] << 8;
    p += 2;
    size_t match = length(token & 15) + 4;
    if (back == 0 || back > out.size()) break;
    for (size_t from = out.size() - back; match > 0; match--) out += out[from++];
  }
  if (out.size() != plain) throw std::runtime_error("a fat binary that cannot be decompressed");
  return out;
}

} // namespace

std::string ptx_of(const void *fat_binary) {
  auto *w = static_cast<const Wrapper *>(fat_binary);
  if (w->magic != 0x466243b1) throw std::runtime_error("an unknown kind of fat binary");
  Header h;
  memcpy(&h, w->data, sizeof h);
  const uint8_t *p = w->data + h.size, *end = p + h.bytes;
  const uint8_t *best = nullptr;
  Part part, chosen{};
  for (; p < end; p += part.size + part.bytes) {
    memcpy(&part, p, sizeof part);
    if (part.kind == is_ptx && (!best || part.architecture > chosen.architecture)) best = p, chosen = part;
  }
  if (!best) throw std::runtime_error("no PTX in the program: it is built for certain GPUs only");
  const uint8_t *data = best + chosen.size;
  if (chosen.flags & by_zstd) throw std::runtime_error("PTX compressed by zstd; have nvcc use --compress-mode=none");
  if (chosen.flags & by_lz4) return lz4(data, chosen.compressed, chosen.plain);
  std::string text(reinterpret_cast<const char *>(data), chosen.bytes);
  return text.substr(0, text.find('\0'));
}
