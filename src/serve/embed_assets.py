"""Turns the page into one C++ source file, so that the program carries it.

Usage: embed_assets.py OUTPUT index.html ASSET...
An asset's name gets a hash of its content, and the index names it so: it may be kept for ever.
"""

import hashlib
import pathlib
import sys

TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


def literal(text: str) -> str:
    """Compilers need not accept literals over 64 KiB, so a long file becomes several pieces."""
    assert ')page"' not in text, "a file may not hold the literal's own terminator"
    pieces = [text[start : start + 8000] for start in range(0, len(text), 8000)] or [""]
    return "\n".join(f'R"page({piece})page"' for piece in pieces)


def main(output: str, index: str, names: list[str]) -> None:
    page = pathlib.Path(index).read_text(encoding="utf-8")
    assets = []
    for path in map(pathlib.Path, names):
        text = path.read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        name = f"/assets/{path.stem}.{digest}{path.suffix}"
        reference = f'"/assets/{path.name}"'
        assert page.count(reference) == 1, f"the index names {path.name} once"
        page = page.replace(reference, f'"{name}"')
        assets.append(f'    {{"{name}", "{TYPES[path.suffix]}",\n{literal(text)}}},\n')
    pathlib.Path(output).write_text(
        '#include "serve/embedded_assets.h"\n\n'
        "namespace spanring::serve {\nnamespace {\n\n"
        f"constexpr Asset kAssets[] = {{\n{''.join(assets)}}};\n\n"
        "}  // namespace\n\n"
        f"std::string_view IndexPage() {{\n  return\n{literal(page)};\n}}\n"
        "std::span<const Asset> Assets() { return kAssets; }\n\n"
        "}  // namespace spanring::serve\n",
        encoding="utf-8",
    )


main(sys.argv[1], sys.argv[2], sys.argv[3:])
