#!/usr/bin/env python3
"""Runner (C++), router (FastAPI) and functions (a process a call), each fault injected for real: services.py PROGRAM RUNNER

Every execution must be one tree, its cause must be found, and nothing may be lost. A second round beside the first has
the functions' clocks 3 s ahead. Prints a table a round; the last line is "N passed, M failed".
"""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

HERE = pathlib.Path(__file__).resolve().parent
SERVER = os.environ["SPANRING_TEST_DATABASE_URL"]
# What is injected: how often of 200, and what the diagnosis must say of it, and where.
FAULTS = {
    "none": (80, None, None),
    "refused": (24, "CONNECTION_FAILURE", "router"),
    "blackhole": (24, "CONNECTION_FAILURE", "router"),
    "slow": (24, "SERVICE_TIMEOUT", "modal"),
    "exception": (24, "MODAL_EXECUTION_FAILURE", "modal"),
    "killed": (12, "PROCESS_CRASH", "modal"),
    "delayed": (12, "NETWORK_TIMEOUT", "router -> runner"),
}
# Spans of an execution, by service.
SPANS = {"refused": (2, 2, 0), "blackhole": (2, 2, 0)}
ANY = (2, 2, 2)


def ahead() -> str:
    """What sets a program's clock. Not the faketime program, which stands between a process and who kills it."""
    found = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        sys.exit("install faketime")
    return f"env LD_PRELOAD={found[0]} FAKETIME=+3s FAKETIME_DONT_FAKE_MONOTONIC=1"


LONGEST_S = 240.0  # Twice what a round takes.
HELD_BACK_S = 90.0  # Longer than the runner waits.


def psql(url: str, sql: str) -> str:
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{sql}: {done.stderr}")
    return done.stdout.strip()


async def hold_answers_back(port: int) -> tuple[asyncio.Server, int]:
    """A proxy in front of the router whose answers are on the wire for too long."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait: float) -> None:
        try:
            while data := await reader.read(65536):
                await asyncio.sleep(wait)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, back, 0), pipe(there, writer, HELD_BACK_S))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def trace(environment: dict[str, str], runner: str, prefix: str) -> None:
    router = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "router.py"),
        env=environment | {"OTEL_SERVICE_NAME": "router", "E2E_FUNCTION_PREFIX": prefix},
        stdout=asyncio.subprocess.PIPE,
    )
    assert router.stdout is not None
    port = int(await router.stdout.readline())
    proxy, slow_port = await hold_answers_back(port)
    lines = []
    number = 0
    for fault, (count, _, _) in FAULTS.items():
        for _ in range(count):
            number += 1
            lines.append(
                json.dumps({"id": number, "fault": fault, "port": slow_port if fault == "delayed" else port})
            )
    process = await asyncio.create_subprocess_exec(
        runner, env=environment | {"OTEL_SERVICE_NAME": "runner"}, stdin=asyncio.subprocess.PIPE
    )
    begin = time.monotonic()
    done = asyncio.create_task(process.communicate("\n".join(lines).encode()))
    while not done.done():
        await asyncio.wait([done], timeout=10)
        waited = time.monotonic() - begin
        print(f"  {number} executions ... {waited:.0f} s", file=sys.stderr)
        if waited > LONGEST_S:
            process.kill()
            router.kill()
            sys.exit(f"not done after {LONGEST_S:.0f} s")
    proxy.close()
    router.terminate()
    if process.returncode != 0 or await router.wait() != 0:
        sys.exit(f"runner ended with {process.returncode}, router with {router.returncode}")


def fault_of(execution_id: int) -> str:
    for fault, (count, _, _) in FAULTS.items():
        if execution_id <= count:
            return fault
        execution_id -= count
    raise AssertionError(execution_id)


def judge(url: str) -> tuple[int, int]:
    """One check an execution, and one of the account."""
    found: list[dict[str, Any]] = json.loads(
        psql(
            url,
            """
            SELECT json_agg(row_to_json(row) ORDER BY id)
            FROM (
                SELECT
                    id,
                    (SELECT row_to_json(cause) FROM identify_root_cause(id) AS cause LIMIT 1) AS cause,
                    (SELECT count(*) FILTER (WHERE depth = 0) FROM trace_tree(id)) AS roots,
                    (SELECT count(DISTINCT trace_id) FROM trace_tree(id)) AS traces,
                    (SELECT count(*) FILTER (WHERE service = 'runner') FROM trace_tree(id)) AS runner,
                    (SELECT count(*) FILTER (WHERE service = 'router') FROM trace_tree(id)) AS router,
                    (SELECT count(*) FILTER (WHERE service = 'modal') FROM trace_tree(id)) AS modal
                FROM generate_series(1, 200) AS id
            ) AS row""",
        )
    )
    passed = failed = 0
    table: dict[str, dict[str, int]] = {}
    for row in found:
        fault = fault_of(row["id"])
        _, type_wanted, where_wanted = FAULTS[fault]
        cause = row["cause"] or {"root_cause_type": None, "affected_service": None, "evidence": ""}
        counts = (row["runner"], row["router"], row["modal"])
        is_tree = row["roots"] == 1 and row["traces"] == 1 and counts == SPANS.get(fault, ANY)
        is_right = (cause["root_cause_type"], cause["affected_service"]) == (type_wanted, where_wanted)
        sums = table.setdefault(fault, {"executions": 0, "runner": 0, "router": 0, "modal": 0, "broken": 0, "wrong": 0})
        sums["executions"] += 1
        for name, count in zip(("runner", "router", "modal"), counts):
            sums[name] += count
        sums["broken"] += not is_tree
        sums["wrong"] += not is_right
        if is_tree and is_right:
            passed += 1
        else:
            failed += 1
            print(f"  execution {row['id']} ({fault}): {counts} spans, {row['roots']} roots, {cause}", file=sys.stderr)
    print(f"{'fault':10} {'executions':>10} {'runner':>7} {'router':>7} {'modal':>6} {'broken trees':>13} {'right':>6} {'wrong':>6}")
    for fault, sums in table.items():
        right = sums["executions"] - sums["wrong"]
        print(
            f"{fault:10} {sums['executions']:10} {sums['runner']:7} {sums['router']:7} {sums['modal']:6}"
            f" {sums['broken']:13} {right:6} {sums['wrong']:6}"
        )
    account = psql(
        url,
        "SELECT sum(spans_started) || ' started, ' || sum(spans_persisted) || ' persisted, ' || sum(spans_dropped)"
        " || ' dropped, ' || (SELECT count(*) FROM trace_spans) || ' rows, ' || (SELECT count(*) FROM trace_open_spans)"
        " || ' open' FROM trace_writers",
    )
    print(f"{account}, by {psql(url, 'SELECT count(*) FROM trace_writers')} processes")
    numbers = [int(part.split()[0]) for part in account.split(", ")]
    is_whole = numbers[0] == numbers[1] == numbers[3] and numbers[2] == numbers[4] == 0
    return passed + is_whole, failed + (not is_whole)


class Round:
    """200 executions into a database of their own."""

    def __init__(self, name: str, title: str, prefix: str, program: str) -> None:
        self.title = title
        self.prefix = prefix
        psql(SERVER, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        psql(SERVER, f"CREATE DATABASE {name}")
        self.url = urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))
        self.environment = os.environ | {"ENABLE_DB_TRACING": "true", "DATABASE_URL": self.url}
        for folder in ("SPANRING_RING_DIR", "SPANRING_JOURNAL_DIR"):
            self.environment[folder] += f"/{name}"
        subprocess.run([program, "migrate", "-d", self.url], check=True, capture_output=True)


async def trace_all(rounds: list[Round], runner: str) -> None:
    await asyncio.gather(*(trace(each.environment, runner, each.prefix) for each in rounds))


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    program, runner = sys.argv[1], sys.argv[2]
    rounds = [
        Round("services", "clocks as they are", "", program),
        Round("services_ahead", "the functions' clocks 3 s ahead", ahead(), program),
    ]
    asyncio.run(trace_all(rounds, runner))
    passed = failed = 0
    for each in rounds:
        # What the killed left.
        recover = [program, "recover", "-d", each.url]
        subprocess.run(recover, env=each.environment, check=True, capture_output=True)
        print(f"\n200 executions, {each.title}")
        good, bad = judge(each.url)
        passed += good
        failed += bad
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
