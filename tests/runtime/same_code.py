#!/usr/bin/env python3
"""Compares the machine code and the data of two static libraries: same_code.py WITH WITHOUT."""
import difflib
import subprocess
import sys


def dump(archive):
    lines = []
    for arguments in (["-dr", "--no-show-raw-insn"], ["-s", "-j.data", "-j.rodata", "-j.bss"], ["-t"]):
        run = subprocess.run(["objdump", *arguments, archive], capture_output=True, text=True)
        # A section that is not there is what we hope for, and objdump warns about it.
        lines += [line for line in run.stdout.splitlines()
                  if line.strip() and "file format" not in line and not line.startswith("In archive")
                  and ".cc" not in line]
    return lines


with_spans, without_spans = dump(sys.argv[1]), dump(sys.argv[2])
if not any("execute" in line for line in with_spans):
    sys.exit("the functions that were to be compared are not there")
difference = list(difflib.unified_diff(without_spans, with_spans, "without spans", "with spans",
                                       lineterm=""))
if difference:
    print("\n".join(difference[:60]))
    sys.exit("something of the spans is left in the caller")
print(f"{len(with_spans)} lines are the same")
