#!/usr/bin/env python3
"""Checks that every memory order in src/ and include/ says why, and that every atomic is documented.

An atomic operation names its order, and a comment on its line or a few lines above says that order
and goes on: "release: pairs with ...", "relaxed, both: a count". Every atomic member or global of the
folders in DOCUMENTED stands in docs/memory-model.md, as `name`.
"""
import pathlib
import re
import sys

NEAR = 6  # Lines above, from the line where the statement's order stands.
DOCUMENTED = ["include/spanring", "src/ring", "src/flush", "src/runtime"]

root = pathlib.Path(__file__).resolve().parent.parent
model = (root / "docs/memory-model.md").read_text()
problems = []

OPERATION = re.compile(
    r"(?:\.|->)(load|store|exchange|fetch_\w+|compare_exchange_\w+|test_and_set|wait)\("
)
ATOMIC = re.compile(r"\b[Aa]tomic<.*>\s+(\w+)\s*(?:\{.*\}|=.*)?;")


def code_and_comment(line: str) -> tuple[str, str]:
    code, slashes, comment = line.partition("//")
    return code, comment if slashes else ""


def arguments(text: str, opening: int) -> str:
    """What stands between the parenthesis that opens at `opening` and the one that closes it."""
    depth = 0
    for at in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[opening + 1 : at]
    return text[opening + 1 :]


for folder in ("include", "src"):
    for path in sorted((root / folder).rglob("*.[ch]*")):
        where = path.relative_to(root)
        lines = [code_and_comment(line) for line in path.read_text().splitlines()]
        for number, (code, _) in enumerate(lines, 1):
            for order in re.findall(r"memory_order_(\w+)|memory_order::(\w+)", code):
                order = order[0] or order[1]
                near = " ".join(comment for _, comment in lines[max(0, number - 1 - NEAR) : number])
                if not re.search(rf"\b{order}\b[:,/]", near):
                    problems.append(f"{where}:{number}: no comment near says '{order}: ...'")
            if any(str(where).startswith(room + "/") for room in DOCUMENTED):
                for name in ATOMIC.findall(code):
                    if f"`{name}`" not in model:
                        problems.append(f"{where}:{number}: docs/memory-model.md lacks `{name}`")
        text = "\n".join(code for code, _ in lines)
        if "atomic" not in text.lower():
            continue
        # An operator on an atomic is sequentially consistent without saying so.
        for name in set(ATOMIC.findall(text)):
            for match in re.finditer(rf"(?<![\w\"]){name}\s*(\+\+|--|[-+|&^]?=(?!=))|(\+\+|--){name}\b", text):
                number = text.count("\n", 0, match.start()) + 1
                if not ATOMIC.search(lines[number - 1][0]):
                    problems.append(f"{where}:{number}: {match[0]} names no memory order")
        for match in OPERATION.finditer(text):
            if "memory_order" not in arguments(text, match.end() - 1):
                number = text.count("\n", 0, match.start()) + 1
                problems.append(f"{where}:{number}: {match[1]} names no memory order")

print("\n".join(problems), end="\n" if problems else "")
sys.exit(1 if problems else 0)
