#!/usr/bin/env python3
"""Checks what the library exports for C: c_symbols.py LIBRARY HEADER.

Every function that the header declares is there with its version, and nothing else is.
"""
import pathlib
import re
import subprocess
import sys

library, header = sys.argv[1:]
declared = set(re.findall(r"SPANRING_C_API [^;(]*?\b(spanring_\w+)\(", pathlib.Path(header).read_text()))
exported = set()
listing = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library],
                         capture_output=True, text=True, check=True).stdout
for name in re.findall(r" T (spanring_\S+)$", listing, re.M):
    exported.add(name)
wanted = {f"{name}@@SPANRING_C_1" for name in declared}
for name in sorted(wanted - exported):
    print(f"declared, and not exported: {name}")
for name in sorted(exported - wanted):
    print(f"exported, and not declared: {name}")
if not declared:
    print(f"{header}: no declarations found")
soname = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
if "soname: [libspanring.so.0]" not in soname:
    print(f"{library}: its soname is not libspanring.so.0")
    sys.exit(1)
sys.exit(wanted != exported or not declared)
