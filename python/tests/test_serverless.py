"""Functions whose container is killed or frozen right after they answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from conftest import Database

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# Says on its standard output that it has answered.
CONTAINER = """
    import asyncio, sys, spanring, spanring.serverless

    @spanring.serverless.function("modal.inference", service="modal", durable=sys.argv[1], model_id="llama")
    def infer(prompt):
        with spanring.span("modal.generate"):
            return prompt.upper()

    @spanring.serverless.function("modal.embed", service="modal", durable=sys.argv[1])
    async def embed(prompt, *, headers):
        with spanring.span("modal.encode"):
            await asyncio.sleep(0)
        raise ValueError("no such model")

    for line in sys.stdin:
        if line.startswith("embed"):
            try:
                asyncio.run(embed("x", headers={"Traceparent": "%s"}))
            except ValueError:
                print("raised", flush=True)
        else:
            print(infer(line.strip(), traceparent="%s"), flush=True)
""" % (PARENT, PARENT)


class Container:
    def __init__(self, database: Database, durable: str, **more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CONTAINER), durable],
            env=database.environment(**more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def count(database: Database, operation: str) -> int:
    return int(database.run(f"SELECT count(*) FROM trace_spans WHERE operation = '{operation}'"))


def test_killed_one_millisecond_after_it_answered(database: Database) -> None:
    for call in range(10):
        # Rings in the container's own memory: they die with it, as a container's do.
        container = Container(database, "database", SPANRING_RING_DIR="off", SPANRING_JOURNAL_DIR="off")
        assert container.ask("hello") == "HELLO"
        time.sleep(0.001)
        container.kill()
        assert count(database, "modal.inference") == count(database, "modal.generate") == call + 1
    span = database.rows("SELECT * FROM trace_spans WHERE operation = 'modal.inference' LIMIT 1")[0]
    assert span["trace_id"] == "0af76519-16cd-43dd-8448-eb211c80319c"
    assert span["parent_span_id"].endswith("b7ad-6b7169203331".replace("-", "")[4:])
    assert span["model_id"] == "llama" and span["metadata"] == {"span.kind": "server"}


def test_an_asynchronous_function_that_raises(database: Database) -> None:
    container = Container(database, "database", SPANRING_RING_DIR="off", SPANRING_JOURNAL_DIR="off")
    assert container.ask("embed") == "raised"
    container.kill()
    spans = database.spans()
    assert (spans["modal.embed"]["status"], spans["modal.embed"]["error_type"]) == ("failed", "ValueError")
    assert spans["modal.encode"]["parent"] == "modal.embed"


def test_the_journal_keeps_what_the_database_cannot_take(database: Database, tmp_path: object) -> None:
    journal = f"{tmp_path}/journal"
    # To the right database, and not through: the server does not answer within the deadline.
    database.run("BEGIN; LOCK trace_spans IN ACCESS EXCLUSIVE MODE; COMMIT")
    holder = subprocess.Popen(
        ["psql", "-XAtq", database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    holder.stdin.write("BEGIN; LOCK trace_spans IN ACCESS EXCLUSIVE MODE; SELECT 'held';\n")
    holder.stdin.flush()
    assert holder.stdout.readline().strip() == "held"
    container = Container(database, "journal", SPANRING_RING_DIR="off", SPANRING_JOURNAL_DIR=journal)
    assert container.ask("hello") == "HELLO"
    time.sleep(0.001)
    container.kill()
    holder.communicate("ROLLBACK;\n")
    assert count(database, "modal.inference") == 0
    subprocess.run(
        [os.environ["SPANRING_PROGRAM"], "recover", "-d", database.url],
        env=database.environment(SPANRING_RING_DIR="off", SPANRING_JOURNAL_DIR=journal),
        check=True,
        capture_output=True,
    )
    assert count(database, "modal.inference") == count(database, "modal.generate") == 1


@pytest.mark.parametrize("cut", [True, False])
def test_frozen_and_thawed(database: Database, cut: bool) -> None:
    container = Container(database, "database", SPANRING_RING_DIR="off", SPANRING_JOURNAL_DIR="off")
    assert container.ask("one") == "ONE"
    container.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    if cut:  # As a server does with a client that has been silent for minutes.
        database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    container.process.send_signal(signal.SIGCONT)
    assert container.ask("two") == "TWO"
    container.kill()
    assert count(database, "modal.inference") == 2


def test_the_deadline_holds_and_is_told(database: Database) -> None:
    program = """
        import time, spanring, spanring.serverless
        @spanring.serverless.function("late", deadline=0.2)
        def late():
            return 1
        begin = time.monotonic()
        assert late(traceparent=None) == 1
        assert 0.15 < time.monotonic() - begin < 5
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=database.environment(DATABASE_URL="host=/nonexistent", SPANRING_RING_DIR="off", SPANRING_JOURNAL_DIR="off",
                                 SPANRING_EXIT_TIMEOUT_MS="0"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "failed to persist trace span: not in the database within 0.2 s" in done.stderr


def test_functions_of_all_kinds(database: Database) -> None:
    printed = database.trace(
        """
        import asyncio, sys, spanring, spanring.serverless
        function = spanring.serverless.function
        PARENT = "%s"

        class Truthless:
            def __bool__(self):
                raise ValueError("as numpy's arrays do")

        class Model:
            @function("method", kind="consumer", execution_id=7)
            def infer(self, headers): return headers
            @function("stream")
            def stream(self):
                with spanring.span("stream.inner"):
                    yield 1
                yield 2
            @function("async stream")
            async def async_stream(self):
                with spanring.span("async stream.inner"):
                    yield 1
                yield 2
        @function("exits")
        def exits():
            raise SystemExit(3)

        async def use(model):
            return [part async for part in model.async_stream(traceparent=PARENT)]

        model = Model()
        given = Truthless()
        assert model.infer(given) is given and model.infer(headers=given) is given
        lines = iter([("traceparent", PARENT)])
        assert list(model.infer(headers=lines)) == [("traceparent", PARENT)]
        assert list(model.stream(traceparent=PARENT)) == [1, 2]
        assert asyncio.run(use(model)) == [1, 2]
        with spanring.span("local"):
            model.infer(None)
        try:
            exits()
        except SystemExit:
            pass
        stats = spanring.stats()
        assert stats["persisted"] == stats["started"], stats  # Each made its own safe.
        """
        % PARENT
    )
    assert printed == ""
    spans = database.spans()
    assert spans["stream.inner"]["parent"] == "stream" and spans["async stream.inner"]["parent"] == "async stream"
    assert {spans[name]["trace_id"] for name in ("stream", "async stream")} == {"0af76519-16cd-43dd-8448-eb211c80319c"}
    assert (spans["exits"]["status"], spans["exits"]["error_type"]) == ("failed", "SystemExit")
    last = database.rows("SELECT * FROM trace_spans WHERE operation = 'method' ORDER BY started_at DESC LIMIT 1")[0]
    assert last["metadata"]["span.kind"] == "consumer" and last["execution_id"] == 7
    assert last["trace_id"] == spans["local"]["trace_id"]


def test_the_deadline_holds_while_the_loops_threads_are_busy(database: Database) -> None:
    database.trace(
        """
        import asyncio, time, spanring, spanring.serverless
        @spanring.serverless.function("late", deadline=0.2)
        async def late():
            return 1
        async def main():
            busy = [asyncio.to_thread(time.sleep, 2) for _ in range(40)]
            held = asyncio.gather(*busy[:8])
            for each in busy[8:]: each.close()
            await asyncio.sleep(0)
            begin = time.monotonic()
            assert await late() == 1
            assert time.monotonic() - begin < 1.5
            held.cancel()
        asyncio.run(main())
        """,
        DATABASE_URL="host=/nonexistent",
        SPANRING_RING_DIR="off",
        SPANRING_JOURNAL_DIR="off",
        SPANRING_EXIT_TIMEOUT_MS="0",
    )
