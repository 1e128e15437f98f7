#!/usr/bin/env python3
"""Checks that every line of README's C++ sample stands in docs/snippets/quick_start.cc, in order."""
import pathlib
import sys

root = pathlib.Path(__file__).resolve().parent.parent
sample = (root / "README.md").read_text().split("```cpp\n")[1].split("```")[0]
program = iter((root / "docs/snippets/quick_start.cc").read_text().splitlines())
for line in filter(None, (line.strip() for line in sample.splitlines())):
    if not any(line == other.strip() for other in program):
        sys.exit(f"README.md: not in docs/snippets/quick_start.cc, or not in this order: {line}")
