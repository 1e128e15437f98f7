#!/usr/bin/env python3
"""Looks through the machine code of the hot path for what contract C1 forbids: no_lock.py PROGRAM.

Follows every call and jump from the recording calls, and from the functions of hot_calls.cc into which
their inline parts went, and fails on a locked instruction, a fence, a system call, an indirect call, an
indirect jump that is no switch's, or a call to anything outside the library but those of OUTSIDE. It stops
at the cold functions, each of which is named here with its occasion. Two of those serve as the test of
the test: looked through themselves, they must be found to lock.
"""
import re
import subprocess
import sys

ENTRIES = ["spanring::internal::" + name for name in [
    "StartSpan(", "StartChildOfCurrent(", "NextSpan(", "EndSpan(", "EndSpanCompleted(",
    "EndSpanWithError(", "EndSpanOfScope(", "SetAttribute(", "SetExecutionContext(", "SetStartTime(",
    "SetEndTime(", "ContextOf(", "CurrentContext(", "ExchangeCurrentContext(",
]] + ["spanring::(anonymous namespace)::" + name for name in [
    "StartComplete(", "ScopedChild(", "ContextAndThreeAttributes(", "DynamicNames(", "Phase(", "PhaseWithContext(",
]]
# By its whole name, without arguments.
COLD = {
    "spanring::ring::TakeProducerSlowly": "a thread's first span",
    "spanring::ring::NameByNewSite": "a call site's first span",
    "spanring::ring::RefuseStart": "no memory, or inside a signal handler that interrupted the tracer",
    "spanring::ring::Producer::TakeSlotSlowly": "more spans open than ever before in this thread",
    "spanring::ring::Grow": "more items than a slot holds",
    "spanring::ring::ReturnExtension": "the same, at its end",
    "spanring::ring::SayWhatWasLost": "more items than a span may have",
    "spanring::ring::EndElsewhere": "a span that ends on another thread than it started on",
    "spanring::ring::NextElsewhere": "a phase that began on another thread, or a call site's first span",
    "spanring::platform::KernelTicks": "no invariant counter",
    "spanring::ring::EndByKernelTime": "the same",
    "spanring::ring::EndOfScopeUnusual": "an exception is unwinding",
    "spanring::platform::RandomSeed": "a thread's first trace id",
    "__clang_call_terminate": "an exception, which none of these calls throws",
    "spanring::internal::CountMisuse": "a call on a span that has ended",
}
# The vDSO's clock is for a fresh trace id; ToUnixNanos only calculates.
OUTSIDE = re.compile(r"^(memcpy|memmove|clock_gettime|absl::[\w:]*ToUnixNanos\(.*\))@plt$")
FOUND_IN = ["spanring::ring::EndElsewhere", "spanring::ring::RefuseStart"]

FORBIDDEN = re.compile(r"^(lock\b|[lms]fence\b|syscall\b|sysenter\b|int\s+\$0x80|cpuid\b|rdtscp\b)")
XCHG_MEMORY = re.compile(r"^xchg\w*\s.*(\(|%[fg]s:)")


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
    """Without arguments and clone suffix."""
    name = re.sub(r" \[clone [^]]*\]", "", name).replace("(anonymous namespace)::", "")
    return name.split("(")[0]


def look_through(functions, entries, stop):
    todo, seen, problems = list(entries), set(), []
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for at, instruction in enumerate(functions[name]):
            if FORBIDDEN.match(instruction) or XCHG_MEMORY.match(instruction):
                problems.append(f"{name}: {instruction}")
            operation = instruction.split()[0]
            if operation != "call" and not operation.startswith("j"):
                continue
            target = re.search(r"<(.+?)(\+0x[0-9a-f]+)?>$", instruction)
            if target is None:
                # A switch loads an offset from its table; its targets are in the function itself.
                before = functions[name][max(0, at - 3):at]
                if operation == "jmp" and any(i.startswith("movslq") and "(" in i for i in before):
                    continue
                problems.append(f"{name}: indirect {instruction}")
                continue
            other = target[1]
            if other == name or plain(other) in stop:
                continue
            if other.endswith("@plt"):
                if not OUTSIDE.match(other):
                    problems.append(f"{name}: calls {other}")
            elif other in functions:
                todo.append(other)
            else:
                problems.append(f"{name}: calls {other}, which is not here")
    return seen, problems


functions = functions_of(sys.argv[1])
entries = [name for name in functions
           if any(name.startswith(entry) for entry in ENTRIES)]
for entry in ENTRIES:
    if not any(name.startswith(entry) for name in entries):
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
