#!/usr/bin/env python3
"""Looks through the machine code of the hot path for what contract C1 forbids: no_lock.py PROGRAM.

Follows every call and jump from the recording calls, and fails on a locked instruction, a fence, a
system call, an indirect call, or a call to anything outside the library but memcpy and memmove. It
stops at the cold functions, each of which is named here with its occasion. Two of those serve as the
test of the test: looked through themselves, they must be found to lock.
"""
import re
import subprocess
import sys

ENTRIES = [
    "StartSpan(", "StartChildOfCurrent(", "NextSpan(", "EndSpan(", "EndSpanCompleted(",
    "EndSpanWithError(", "EndSpanOfScope(", "SetAttribute(", "SetExecutionContext(", "ContextOf(",
    "CurrentContext(", "ExchangeCurrentContext(",
]
COLD = {
    "TakeProducerSlowly": "a thread's first span",
    "NameByNewSite": "a call site's first span",
    "RefuseStart": "no memory, or inside a signal handler that interrupted the tracer",
    "TakeSlotSlowly": "more spans open than ever before in this thread",
    "Grow": "more items than a slot holds",
    "ReturnExtension": "the same, at its end",
    "SayWhatWasLost": "more items than a span may have",
    "EndElsewhere": "a span that ends on another thread than it started on",
    "NextAny": "a phase that began on another thread, with items, or at the end of a lap",
    "KernelTicks": "no invariant counter",
    "EndByKernelTime": "the same",
    "EndOfScopeUnusual": "an exception is unwinding",
    "RandomSeed": "a thread's first trace id",
}
# The vDSO's clock, for a fresh trace id.
OUTSIDE = {"memcpy", "memmove", "clock_gettime"}
FOUND_IN = ["EndElsewhere", "RefuseStart"]

FORBIDDEN = re.compile(r"^(lock\b|[lms]fence\b|syscall\b|sysenter\b|int\s+\$0x80)")
XCHG_MEMORY = re.compile(r"^xchg\w*\s.*\(")


def functions_of(program):
    """Name -> instructions, by symbol; a hot function and its cold part are two."""
    text = subprocess.run(["objdump", "-d", "-C", "--no-show-raw-insn", program],
                          capture_output=True, text=True, check=True).stdout
    functions = {}
    current = None
    for line in text.splitlines():
        if match := re.match(r"^[0-9a-f]+ <(.+)>:$", line):
            current = functions.setdefault(match[1], [])
        elif current is not None and (match := re.match(r"^\s+[0-9a-f]+:\s+(.+?)\s*$", line)):
            current.append(match[1])
    return functions


def plain(name):
    """Without namespaces, arguments and clone suffix."""
    name = re.sub(r" \[clone [^]]*\]", "", name)
    name = name.replace("(anonymous namespace)::", "")
    return re.sub(r"[(<].*", "", name).split("::")[-1]


def look_through(functions, entries, stop):
    todo, seen, problems = list(entries), set(), []
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for instruction in functions[name]:
            if FORBIDDEN.match(instruction) or XCHG_MEMORY.match(instruction):
                problems.append(f"{name}: {instruction}")
            operation = instruction.split()[0]
            if operation != "call" and not operation.startswith("j"):
                continue
            target = re.search(r"<(.+?)(\+0x[0-9a-f]+)?>$", instruction)
            if target is None:
                # A jump through a register is a switch's; its targets are in the function itself.
                if operation == "call":
                    problems.append(f"{name}: indirect {instruction}")
                continue
            other = target[1]
            if other == name or plain(other) in stop and "StartSpan" not in other:
                continue
            if other.endswith("@plt"):
                if other.split("@")[0] not in OUTSIDE:
                    problems.append(f"{name}: calls {other}")
            elif other in functions:
                todo.append(other)
            else:
                problems.append(f"{name}: calls {other}, which is not here")
    return seen, problems


functions = functions_of(sys.argv[1])
entries = [name for name in functions
           if any(name.startswith("spanring::internal::" + entry) for entry in ENTRIES)]
for entry in ENTRIES:
    if not any(name.startswith("spanring::internal::" + entry) for name in entries):
        sys.exit(f"{entry} is not in the program")
seen, problems = look_through(functions, entries, set(COLD))
for name in FOUND_IN:
    itself = [f for f in functions if plain(f) == name]
    _, found = look_through(functions, itself, set())
    if not itself or not any("lock" in problem for problem in found):
        sys.exit(f"{name} locks, and it was not found: this check is broken")
if problems:
    print("\n".join(problems))
    sys.exit("the hot path does what it must not")
print(f"{len(entries)} recording calls, {len(seen)} functions: no locked instruction, fence or system call")
