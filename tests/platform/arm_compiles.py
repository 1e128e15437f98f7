#!/usr/bin/env python3
"""Compiles the clock and the hot path for aarch64, and looks for the counter's register in its code.

Usage: arm_compiles.py ROOT ABSL_INCLUDES. Skipped without Debian's g++-aarch64-linux-gnu.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

COMPILER, OBJDUMP = "aarch64-linux-gnu-g++", "aarch64-linux-gnu-objdump"
if not (shutil.which(COMPILER) and shutil.which(OBJDUMP)):
    print("skipped: install g++-aarch64-linux-gnu")
    sys.exit(77)
root, absl = map(pathlib.Path, sys.argv[1:])
sources = sorted((root / "src/platform").glob("*.cc")) + sorted((root / "src/ring").glob("*.cc"))
with tempfile.TemporaryDirectory() as scratch:
    # Abseil's headers are of no architecture; those beside them are of this machine's.
    pathlib.Path(scratch, "absl").symlink_to(absl / "absl")
    for source in sources:
        made = pathlib.Path(scratch, source.name + ".o")
        subprocess.run(
            [COMPILER, "-std=c++20", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror",
             "-isystem", scratch, f"-I{root}/src", f"-I{root}/include", "-c", source,
             "-o", made], check=True)
        if source.name == "recorder.cc":
            code = subprocess.run([OBJDUMP, "-d", made], check=True, capture_output=True, text=True)
            if "cntvct_el0" not in code.stdout:
                sys.exit(f"{source}: no instruction reads cntvct_el0")
print(f"{len(sources)} files compiled")
