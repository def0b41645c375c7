#!/usr/bin/env python3
"""Compiles the kernels with NVRTC: compile.py NVRTC FATBINARY SOURCE OUT

NVRTC is the compiler's library (libnvrtc.so), FATBINARY the program of that name
of a CUDA toolkit. OUT gets code for every generation of devices, and the
portable form (PTX) of the oldest, which the driver compiles for newer ones."""

import ctypes
import glob
import os
import subprocess
import sys
import tempfile

REAL = [75, 80, 86, 89, 90, 100, 120]
VIRTUAL = 75


def main():
    library, fatbinary, source, out = sys.argv[1:]
    for part in glob.glob(os.path.join(os.path.dirname(library), "libnvrtc-builtins.so.*")):
        ctypes.CDLL(part, mode=ctypes.RTLD_GLOBAL)
    nvrtc = ctypes.CDLL(library)
    text = open(source, "rb").read()

    def compiled(option, kind):
        program = ctypes.c_void_p()
        check(nvrtc, nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, source.encode(), 0, None, None))
        options = [option, "--std=c++17", "--include-path=" + os.path.dirname(os.path.abspath(source))]
        array = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
        if nvrtc.nvrtcCompileProgram(program, len(options), array):
            sys.exit("compile.py: " + got(nvrtc, program, "ProgramLog").decode())
        return got(nvrtc, program, kind)

    with tempfile.TemporaryDirectory() as dir:
        images = []
        for sm, kind, option in [(s, "elf", f"--gpu-architecture=sm_{s}") for s in REAL] + [
            (VIRTUAL, "ptx", f"--gpu-architecture=compute_{VIRTUAL}")
        ]:
            path = os.path.join(dir, f"{kind}{sm}")
            with open(path, "wb") as f:
                f.write(compiled(option, {"elf": "CUBIN", "ptx": "PTX"}[kind]))
            images.append(f"--image3=kind={kind},sm={sm},file={path}")
        # Uncompressed: drivers of CUDA 12.0 to 12.3 do not know today's compression.
        subprocess.run([fatbinary, "-64", "--compress=false", "--create=" + out] + images, check=True)


def check(nvrtc, result):
    if result:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        sys.exit("compile.py: " + nvrtc.nvrtcGetErrorString(result).decode())


def got(nvrtc, program, what):
    size = ctypes.c_size_t()
    check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    data = ctypes.create_string_buffer(size.value)
    check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, data))
    return data.raw if what == "CUBIN" else data.value


main()
