"""Turns sql/ into one C++ source file, so that the program carries its schema with it.

Usage: embed_sql.py OUTPUT FILE...   in the order in which the files are to be applied.
"""

import hashlib
import pathlib
import re
import sys

MIGRATION = re.compile(r"^(\d{3})_([a-z0-9_]+)\.up\.sql$")


def literal(text: str) -> str:
    """Compilers need not accept literals over 64 KiB, so a long file becomes several pieces."""
    assert ')sql"' not in text, "a file may not hold the literal's own terminator"
    pieces = [text[start : start + 8000] for start in range(0, len(text), 8000)] or [""]
    return "\n".join(f'R"sql({piece})sql"' for piece in pieces)


def main(output: str, names: list[str]) -> None:
    migrations, objects, whole = [], [], hashlib.sha256()
    for path in map(pathlib.Path, names):
        text = path.read_text(encoding="utf-8")
        if match := MIGRATION.match(path.name):
            down = path.with_name(path.name.replace(".up.", ".down.")).read_text(encoding="utf-8")
            checksum = hashlib.sha256(text.encode()).hexdigest()
            migrations.append(
                f'    {{{int(match[1])}, "{match[2]}", "{checksum}",\n'
                f"{literal(text)},\n{literal(down)}}},\n"
            )
        else:
            whole.update(text.encode())
            kind = {"functions": "kFunction", "views": "kView"}[path.parent.name]
            objects.append(f'    {{ObjectKind::{kind}, "{path.stem}",\n{literal(text)}}},\n')
    pathlib.Path(output).write_text(
        '#include "schema/embedded_sql.h"\n\n'
        "namespace spanring::schema {\nnamespace {\n\n"
        f"constexpr Migration kMigrations[] = {{\n{''.join(migrations)}}};\n\n"
        f"constexpr Object kObjects[] = {{\n{''.join(objects)}}};\n\n"
        "}  // namespace\n\n"
        "std::span<const Migration> Migrations() { return kMigrations; }\n"
        "std::span<const Object> Objects() { return kObjects; }\n"
        f'absl::string_view ObjectsChecksum() {{ return "{whole.hexdigest()}"; }}\n\n'
        "}  // namespace spanring::schema\n",
        encoding="utf-8",
    )


main(sys.argv[1], sys.argv[2:])
