#!/usr/bin/env python3
"""Runner (C++), router (FastAPI), functions (a process a call) and scorer (JavaScript, by OTLP), with faults injected for real.

services.py PROGRAM RUNNER SCORER

Every execution must be one tree, its cause must be found, and nothing may be lost. A second round beside the first has
the functions' clocks 3 s ahead. Prints a table a round; the last line is "N passed, M failed".
"""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from typing import Any, NamedTuple
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
SERVICES = ("runner", "router", "modal", "scorer")
# Spans of an execution, by service. The scorer is asked when the function has answered.
WITHOUT_FUNCTION = (2, 2, 0, 0)
WITHOUT_ANSWER = (2, 2, 2, 0)
WHOLE = (2, 3, 2, 1)
SPANS = {
    "none": WHOLE,
    "refused": WITHOUT_FUNCTION,
    "blackhole": WITHOUT_FUNCTION,
    "slow": WITHOUT_ANSWER,
    "exception": WITHOUT_ANSWER,
    "killed": WITHOUT_ANSWER,
    "delayed": WHOLE,
}


def ahead() -> str:
    """What sets a program's clock. Not the faketime program, which stands between a process and who kills it."""
    found = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        sys.exit("install faketime")
    return f"env LD_PRELOAD={found[0]} FAKETIME=+3s FAKETIME_DONT_FAKE_MONOTONIC=1"


LONGEST_S = 240.0  # Twice what a round takes.
HELD_BACK_S = 90.0  # Longer than the runner waits.


class Programs(NamedTuple):
    spanring: str
    runner: str
    scorer: str


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


async def started(says: str, *command: str, **environment: str) -> tuple[asyncio.subprocess.Process, str]:
    """A server, and what its standard output says of where it listens."""
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        if found := re.search(says, line):
            return process, found[1]
    sys.exit(f"{command[0]} did not start")


async def stop(name: str, process: asyncio.subprocess.Process) -> None:
    process.terminate()
    code = await process.wait()
    if code != 0:
        sys.exit(f"{name} ended with {code}")


async def trace(environment: dict[str, str], programs: Programs, prefix: str) -> None:
    url = environment["DATABASE_URL"]
    serve, otlp = await started(
        r"(http:\S+:\d+)/v1/traces", programs.spanring, "serve", "-d", url, "--port=0", "--otlp", "--otlp-port=0"
    )
    scorer, scorer_port = await started(r"(\d+)", "node", programs.scorer, OTEL_EXPORTER_OTLP_ENDPOINT=otlp)
    of_router = {"OTEL_SERVICE_NAME": "router", "E2E_FUNCTION_PREFIX": prefix, "E2E_SCORER_PORT": scorer_port}
    router, port_text = await started(
        r"(\d+)", sys.executable, str(HERE / "router.py"), **environment | of_router
    )
    port = int(port_text)
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
        programs.runner, env=environment | {"OTEL_SERVICE_NAME": "runner"}, stdin=asyncio.subprocess.PIPE
    )
    begin = time.monotonic()
    done = asyncio.create_task(process.communicate("\n".join(lines).encode()))
    while not done.done():
        await asyncio.wait([done], timeout=10)
        waited = time.monotonic() - begin
        print(f"  {number} executions ... {waited:.0f} s", file=sys.stderr)
        if waited > LONGEST_S:
            for each in (process, router, scorer, serve):
                each.kill()
            sys.exit(f"not done after {LONGEST_S:.0f} s")
    proxy.close()
    if process.returncode != 0:
        sys.exit(f"runner ended with {process.returncode}")
    # In this order: each stores what it has.
    await stop("router", router)
    await stop("scorer", scorer)
    await stop("serve", serve)


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
                    (
                        SELECT json_object_agg(service, spans)
                        FROM (SELECT service, count(*) AS spans FROM trace_tree(id) GROUP BY service) AS counted
                    ) AS spans
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
        counts = tuple((row["spans"] or {}).get(service, 0) for service in SERVICES)
        is_tree = row["roots"] == 1 and row["traces"] == 1 and counts == SPANS[fault]
        is_right = (cause["root_cause_type"], cause["affected_service"]) == (type_wanted, where_wanted)
        sums = table.setdefault(fault, dict.fromkeys(("executions", *SERVICES, "broken", "wrong"), 0))
        sums["executions"] += 1
        for name, count in zip(SERVICES, counts):
            sums[name] += count
        sums["broken"] += not is_tree
        sums["wrong"] += not is_right
        if is_tree and is_right:
            passed += 1
        else:
            failed += 1
            print(f"  execution {row['id']} ({fault}): {counts} spans, {row['roots']} roots, {cause}", file=sys.stderr)
    titles = "".join(f"{service:>8}" for service in SERVICES)
    print(f"{'fault':10}{'executions':>11}{titles}{'broken trees':>14}{'right':>7}{'wrong':>7}")
    for fault, sums in table.items():
        spans = "".join(f"{sums[service]:8}" for service in SERVICES)
        right = sums["executions"] - sums["wrong"]
        print(f"{fault:10}{sums['executions']:11}{spans}{sums['broken']:14}{right:7}{sums['wrong']:7}")
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


async def trace_all(rounds: list[Round], programs: Programs) -> None:
    await asyncio.gather(*(trace(each.environment, programs, each.prefix) for each in rounds))


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    programs = Programs(*sys.argv[1:])
    program = programs.spanring
    rounds = [
        Round("services", "clocks as they are", "", program),
        Round("services_ahead", "the functions' clocks 3 s ahead", ahead(), program),
    ]
    asyncio.run(trace_all(rounds, programs))
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
