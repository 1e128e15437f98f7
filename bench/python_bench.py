#!/usr/bin/env python3
"""What a span costs in Python, beside a context manager that does nothing: ./run python --bench

Medians of 15 rounds, in nanoseconds, of loops without their own cost. On: rows go to no database, so the
ring is emptied and nothing else. Cold start: a fresh interpreter, import and first span, beside one without.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import spanring

ROUNDS, SPANS = 15, 20_000


class Empty:
    def __enter__(self) -> Empty:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def nothing(count: int) -> None:
    for _ in range(count):
        pass


def empty(count: int) -> None:
    manager = Empty()
    for _ in range(count):
        with manager:
            pass


def span(count: int) -> None:
    start = spanring.span
    for _ in range(count):
        with start("operation"):
            pass


def attributes(count: int) -> None:
    start = spanring.span
    for _ in range(count):
        with start("operation", execution_id=2193, model_id="llama-3-70b", attempt=1, cached=False):
            pass


@spanring.traced("operation")
def traced() -> None:
    pass


def decorated(count: int) -> None:
    for _ in range(count):
        traced()


def measure(loop: Callable[[int], None]) -> float:
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter_ns()
        loop(SPANS)
        times.append((time.perf_counter_ns() - begin) / SPANS)
        time.sleep(0.02)  # The drainer's turn.
    return statistics.median(times)


def cold(program: str, **environment: str) -> float:
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], env=os.environ | environment, check=True)
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def main() -> None:
    loop = measure(nothing)
    results = {"empty context manager": measure(empty) - loop}
    for state in ("off", "on"):
        if state == "on":
            spanring.start(database_url="host=/nonexistent", ring_dir="off", journal_dir="off", log="off",
                           exit_timeout_ms=0, ring_bytes=64 * 1024 * 1024, journal_full="oldest")
        results[f"span, {state}"] = measure(span) - loop
        results[f"span with four values, {state}"] = measure(attributes) - loop
        results[f"traced function, {state}"] = measure(decorated) - loop
    quiet = {"ENABLE_DB_TRACING": "true", "DATABASE_URL": "host=/nonexistent", "SPANRING_LOG": "off",
             "SPANRING_EXIT_TIMEOUT_MS": "0", "SPANRING_RING_DIR": "off", "SPANRING_JOURNAL_DIR": "off"}
    bare = cold("pass")
    off = cold("import spanring\nwith spanring.span('x'): pass", ENABLE_DB_TRACING="false")
    on = cold("import spanring\nwith spanring.span('x'): pass", **quiet)
    if "--json" in sys.argv:
        print(json.dumps({"ns": results, "cold_start_ms": {"python": bare, "off": off, "on": on}}))
        return
    base = results["empty context manager"]
    for name, ns in results.items():
        print(f"{name:32} {ns:8.1f} ns  {ns / base:6.2f}")
    print(f"{'cold start: python alone':32} {bare:8.1f} ms")
    print(f"{'  import and first span, off':32} {off - bare:+8.1f} ms")
    print(f"{'  import and first span, on':32} {on - bare:+8.1f} ms")


if __name__ == "__main__":
    main()
