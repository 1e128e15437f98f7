#!/usr/bin/env python3
"""Compiles the given sources for aarch64, and looks for the counter's register in clock.cc's code.

Usage: arm_compiles.py COMPILER OBJDUMP ROOT ABSL_INCLUDES SOURCE...
"""
import pathlib
import subprocess
import sys
import tempfile

compiler, objdump, root, absl, *sources = sys.argv[1:]
with tempfile.TemporaryDirectory() as scratch:
    # Abseil's headers are of no architecture; those beside them are of this machine's.
    pathlib.Path(scratch, "absl").symlink_to(pathlib.Path(absl, "absl"))
    for source in sources:
        made = pathlib.Path(scratch, pathlib.Path(source).name + ".o")
        subprocess.run(
            [compiler, "-std=c++20", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror",
             "-isystem", scratch, f"-I{root}/src", f"-I{root}/include", "-c", source,
             "-o", made], check=True)
        if source.endswith("platform/clock.cc"):
            code = subprocess.run([objdump, "-d", made], check=True, capture_output=True, text=True)
            if "cntvct_el0" not in code.stdout:
                sys.exit(f"{source}: no instruction reads cntvct_el0")
