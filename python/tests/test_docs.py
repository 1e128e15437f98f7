"""What the docs show."""

from __future__ import annotations

import pathlib
import re

from conftest import Database

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What the samples have around them.
AROUND = """
import types, fastapi, httpx, spanring, spanring.asgi, spanring.httpx, spanring.serverless
from fastapi import FastAPI
app = FastAPI()
infer = types.SimpleNamespace(remote=lambda prompt, traceparent: None)
prompt = image = None
"""


def samples(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.S)


def test_python_samples_run(database: Database) -> None:
    programs = [*samples("README.md"), *samples("docs/python.md")]
    assert len(programs) >= 4
    for program in programs:
        # Modal itself is not there, and its stand-in is no decorator.
        lines = [line for line in program.splitlines() if not line.startswith("@app.function")]
        lines = [line for line in lines if not line.startswith("infer.remote")]
        database.trace(AROUND + "\n".join(lines))
    spans = database.spans()
    assert spans["router.modal_call"]["parent"] == "router.inference_request"
    assert spans["router.inference_request"]["execution_id"] == 2193
