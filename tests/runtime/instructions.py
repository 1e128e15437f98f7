#!/usr/bin/env python3
"""Counts the instructions of the hot path's calls under callgrind: instructions.py HOT_CALLS.

A call's count is the difference between two runs of different length, less that of an empty function
in the same loop: what its caller pays. Counts do not vary from run to run, only with compiler and
source. Fails where one is above its limit.
"""
import re
import shutil
import subprocess
import sys

LIMITS = {
    "start_complete": 160,
    "scoped_child": 160,
    "phase": 120,
    "phase_with_context": 400,
    "context_and_three_attributes": 660,
    "dynamic_names_and_error": 480,
    "off": 6,
}
FEW, MANY = 1000, 3000


def collected(program, case, n):
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, case, str(n)],
        capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not found:
        sys.exit(f"{case}: valgrind failed\n{run.stderr}")
    return int(found[1])


def of_one(program, case):
    count = collected(program, case, MANY) - collected(program, case, FEW)
    return count / (MANY - FEW)


if not shutil.which("valgrind"):
    print("skipped: install valgrind")
    sys.exit(77)
program = sys.argv[1]
nothing = of_one(program, "nothing")
above = []
for case, limit in LIMITS.items():
    count = of_one(program, case) - nothing
    print(f"{case:32}{count:8.1f} instructions, limit {limit}")
    if count > limit:
        above.append(case)
    if case != "off" and count < 40:
        sys.exit(f"{case}: {count} is too few to be true")
if above:
    sys.exit("above the limit: " + ", ".join(above))
