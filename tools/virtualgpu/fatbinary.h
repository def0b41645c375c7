// The PTX in a program's fat binary.
#pragma once
#include <string>

// ptx_of returns the PTX for the newest architecture in a fat binary, as
// __cudaRegisterFatBinary is given it. It throws std::runtime_error where there
// is none.
std::string ptx_of(const void *fat_binary);
