#!/usr/bin/env python3
"""Checks the include rules of src/: the data's way runs one way, and headers say what they are.

A folder includes only itself, the folders before it in ORDER, and include/spanring. Programs (below
the library in the list) use of it only what FOR_PROGRAMS names; import and otlp, which go the
library's own way to the database, also what FOR_IMPORT names. Every header opens with its
five lines: what it is, Threads, Memory, Errors, Design.
"""
import pathlib
import re
import sys

LIBRARY = ["base", "platform", "ring", "flush", "pg", "recovery", "runtime"]
PROGRAMS = ["schema", "dev", "import", "answers", "http", "otlp", "serve", "mcp", "cli"]
FOR_PROGRAMS = {"base/utf8.h", "pg/client.h", "pg/handles.h", "recovery/recover.h"}
FOR_IMPORT = {"flush/journal.h", "flush/span_row.h", "pg/batch_sender.h", "pg/session.h",
              "pg/wake.h"}
FOR_IMPORT_ROOMS = {"import", "otlp"}

root = pathlib.Path(__file__).resolve().parent.parent
problems = []


def allowed(room: str, included: str) -> bool:
    other = included.split("/")[0]
    if room in LIBRARY:
        return other in LIBRARY[: LIBRARY.index(room) + 1]
    if other in LIBRARY:
        return included in FOR_PROGRAMS or (room in FOR_IMPORT_ROOMS and included in FOR_IMPORT)
    return other in PROGRAMS[: PROGRAMS.index(room) + 1]


for path in sorted((root / "src").rglob("*.[ch]*")):
    room = path.relative_to(root / "src").parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'#include "([^"]+)"', line)
        if match and match[1].split("/")[0] in LIBRARY + PROGRAMS and not allowed(room, match[1]):
            problems.append(f"{path.relative_to(root)}:{number}: {room} may not include {match[1]}")

for folder in ("include", "src"):
    for path in sorted((root / folder).rglob("*.h")):
        opening = path.read_text().split("#pragma once")[0]
        for word in ("Threads", "Memory", "Errors", "Design"):
            if word not in opening:
                problems.append(f"{path.relative_to(root)}: its opening lines do not say {word}")
        for named in re.findall(r"Design: (docs/[\w/.-]+)", opening):
            if not (root / named).exists():
                problems.append(f"{path.relative_to(root)}: {named} does not exist")

print("\n".join(problems), end="\n" if problems else "")
sys.exit(1 if problems else 0)
