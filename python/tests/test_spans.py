"""Spans and their rows."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import textwrap

import spanring
from conftest import Database


def test_every_column_arrives(database: Database) -> None:
    database.trace(
        """
        import spanring
        with spanring.span("router.request", service="router", kind="server", job_id="job-1", execution_id=2193,
                           model_id="llama", attempt=2, ratio=0.5, cached=False, big=2**70, none=None,
                           words=["a"], odd="\\ud800") as span:
            span.set_attribute("later", "x")
            span.set_execution_context(region="eu-west")
        with spanring.span("other", execution_id="17"):
            spanring.set_execution_context(job_id="job-2")
        with spanring.span("odd", execution_id="no number"):
            pass
        assert spanring.flush()
        """
    )
    spans = database.spans()
    span = spans["router.request"]
    assert span["service"] == "router"
    assert (span["job_id"], span["execution_id"], span["model_id"], span["region"]) == (
        "job-1",
        2193,
        "llama",
        "eu-west",
    )
    assert span["status"] == "completed" and span["duration_ns"] > 0
    metadata = span["metadata"]
    assert metadata.pop("odd")
    assert metadata == {
        "span.kind": "server",
        "attempt": 2,
        "ratio": 0.5,
        "cached": False,
        "big": str(2**70),
        "words": "['a']",
        "later": "x",
    }
    assert spans["other"]["service"] == "python" and spans["other"]["execution_id"] == 17
    assert spans["other"]["job_id"] == "job-2"
    assert spans["odd"]["execution_id"] is None
    assert spans["odd"]["metadata"] == {"execution_id": "no number"}


def test_exceptions_are_told_and_pass(database: Database) -> None:
    database.trace(
        """
        import asyncio, socket, spanring

        def fails(operation, error):
            try:
                with spanring.span(operation):
                    raise error
            except BaseException as seen:
                assert seen is error
            else:
                raise AssertionError(operation)

        class Odd(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        class ReadTimeout(Exception):
            pass

        fails("refused", ConnectionRefusedError("nobody there"))
        fails("timeout", TimeoutError("late"))
        fails("named", ReadTimeout())
        fails("odd", Odd())
        fails("cancelled", asyncio.CancelledError())
        fails("exit", SystemExit(0))
        fails("died", SystemExit(3))
        fails("closed", GeneratorExit())
        span = spanring.span("told")
        span.complete_with_error("it broke", "E1", status="timeout")
        span.complete()
        spanring.span("exception").complete_with_error(ValueError("v"))
        spanring.span("failed").complete("failed")
        del span
        assert spanring.flush()
        """
    )
    found = {name: (s["status"], s["error_type"], s["error_message"]) for name, s in database.spans().items()}
    assert found == {
        "refused": ("failed", "ConnectionRefusedError", "nobody there"),
        "timeout": ("timeout", "TimeoutError", "late"),
        "named": ("timeout", "__main__.ReadTimeout", None),
        "odd": ("failed", "__main__.Odd", None),
        "cancelled": ("failed", "CancelledError", "cancelled"),
        "exit": ("completed", None, None),
        "died": ("failed", "SystemExit", "3"),
        "closed": ("completed", None, None),
        "told": ("timeout", "E1", "it broke"),
        "exception": ("failed", "ValueError", "v"),
        "failed": ("failed", None, None),
    }


def test_parents_over_tasks_threads_and_generators(database: Database) -> None:
    database.trace(
        """
        import asyncio, contextvars, threading, spanring
        from concurrent.futures import ThreadPoolExecutor

        def work(name):
            with spanring.span(name):
                pass

        async def task(name, event):
            with spanring.span(name):
                await event.wait()
                work(name + ".child")

        @spanring.traced("generator")
        def numbers():
            work("generator.body")
            yield 1
            with spanring.span("generator.inner"):
                yield 2
                work("generator.inner.child")

        @spanring.traced
        async def stream():
            with spanring.span("stream.inner"):
                yield 1
                work("stream.inner.child")

        def plain():
            with spanring.span("plain"):
                yield

        async def main():
            event = asyncio.Event()
            with spanring.span("root"):
                tasks = [asyncio.create_task(task(f"task{i}", event)) for i in range(3)]
                await asyncio.sleep(0)
                work("between")
                event.set()
                await asyncio.gather(*tasks)
                await asyncio.to_thread(work, "to_thread")
                for n in numbers():
                    work(f"consumer{n}")
                async for n in stream():
                    work("stream.consumer")
                late = asyncio.create_task(asyncio.sleep(0.02))
                late.add_done_callback(lambda _: work("late"))
            await late
            await asyncio.sleep(0)
            work("after")

            # A generator with a plain `with`, closed in another context than it was begun in.
            with spanring.span("holder"):
                held = plain()
                next(held)
                contextvars.copy_context().run(held.close)
                work("beside")
            work("behind")

        asyncio.run(main())
        with spanring.span("threads"):
            thread = threading.Thread(target=spanring.bind(work), args=("bound",))
            thread.start()
            thread.join()
            with ThreadPoolExecutor(4) as pool:
                bound = spanring.bind(work)
                list(pool.map(bound, [f"pool{i}" for i in range(8)]))
                pool.submit(work, "unbound").result()
        assert spanring.flush()
        """
    )
    parents = {name: span["parent"] for name, span in database.spans().items()}
    assert parents == {
        "root": None,
        **{f"task{i}": "root" for i in range(3)},
        **{f"task{i}.child": f"task{i}" for i in range(3)},
        "between": "root",
        "to_thread": "root",
        "generator": "root",
        "generator.body": "generator",
        "generator.inner": "generator",
        "generator.inner.child": "generator.inner",
        "consumer1": "root",
        "consumer2": "root",
        "__main__.stream": "root",
        "stream.inner": "__main__.stream",
        "stream.inner.child": "stream.inner",
        "stream.consumer": "root",
        "late": "root",
        "after": None,
        "holder": None,
        "plain": "holder",
        "beside": "holder",
        "behind": None,
        "threads": None,
        "bound": "threads",
        **{f"pool{i}": "threads" for i in range(8)},
        "unbound": None,
    }


def test_traced_functions_keep_what_they_are(database: Database) -> None:
    database.trace(
        """
        import asyncio, inspect, spanring

        @spanring.traced("sync", kind="client", region="eu")
        def sync(a, *, b):
            "Adds."
            return a + b

        @spanring.traced
        async def coroutine():
            await asyncio.sleep(0)
            return 7

        @spanring.traced("echo")
        def echo():
            received = []
            while True:
                try:
                    word = yield received
                except KeyError:
                    word = "KeyError"
                if word is None:
                    return received
                received.append(word)

        assert sync(1, b=2) == 3 and sync.__doc__ == "Adds." and sync.__name__ == "sync"
        assert inspect.iscoroutinefunction(coroutine) and asyncio.run(coroutine()) == 7
        generator = echo()
        next(generator)
        assert generator.send("a") == ["a"]
        assert generator.throw(KeyError()) == ["a", "KeyError"]
        try:
            generator.send(None)
        except StopIteration as stop:
            assert stop.value == ["a", "KeyError"]
        unfinished = echo()
        next(unfinished)
        unfinished.close()

        @spanring.traced("breaks")
        def breaks():
            yield 1
            raise ConnectionResetError("gone")
        try:
            list(breaks())
        except ConnectionResetError:
            pass

        async def timed_out():
            async with asyncio.timeout(0.01):
                with spanring.span("inner"):
                    await asyncio.sleep(10)
        try:
            with spanring.span("outer"):
                asyncio.run(timed_out())
        except TimeoutError:
            pass
        assert spanring.flush()
        """
    )
    spans = database.rows("SELECT operation, status, error_type, region FROM trace_spans ORDER BY started_at, operation")
    assert [(s["operation"], s["status"], s["error_type"]) for s in spans] == [
        ("sync", "completed", None),
        ("__main__.coroutine", "completed", None),
        ("echo", "completed", None),
        ("echo", "completed", None),
        ("breaks", "failed", "ConnectionResetError"),
        ("outer", "timeout", "TimeoutError"),
        ("inner", "failed", "CancelledError"),
    ]
    assert spans[0]["region"] == "eu"


def test_a_fork_has_spans_of_its_own(database: Database) -> None:
    database.trace(
        """
        import os, spanring
        with spanring.span("parent") as parent:
            children = []
            for i in range(3):
                child = os.fork()
                if child == 0:
                    parent.set_attribute("by", "the child")  # Not its span: nothing.
                    with spanring.span(f"child{i}"):
                        pass
                    parent.complete("failed")
                    assert spanring.flush()
                    os._exit(0)
                children.append(child)
            for child in children:
                assert os.waitpid(child, 0)[1] == 0
        assert spanring.flush()
        """
    )
    spans = database.spans()
    assert set(spans) == {"parent", "child0", "child1", "child2"}
    assert spans["parent"]["status"] == "completed" and spans["parent"]["metadata"] in (None, {})
    assert all(spans[f"child{i}"]["parent"] == "parent" for i in range(3))


def test_the_end_of_the_interpreter_delivers(database: Database) -> None:
    database.trace(
        """
        import spanring, threading, time
        for _ in range(1000):
            with spanring.span("early"):
                pass
        left_open = spanring.span("left")
        threading.Thread(target=lambda: (time.sleep(0.05), spanring.span("thread").complete())).start()
        """
    )
    assert database.run("SELECT count(*) FROM trace_spans WHERE operation = 'early'") == "1000"
    assert set(database.spans()) >= {"early", "thread"}


def test_off_is_off_and_start_says_what_is_wrong(database: Database) -> None:
    program = """
        import spanring
        assert not spanring.enabled()
        with spanring.span("x", a=1) as span:
            assert not span.is_recording and span.context is None and span.traceparent == ""
            assert spanring.current_span() is None
        assert spanring.stats()["started"] == 0
        for settings in ({"ring_byte": 1}, {}):
            try:
                spanring.start(**settings)
                spanring.start()
            except spanring.SpanringError as error:
                print(error)
        spanring.set_enabled(False)
        assert not spanring.enabled()
        assert spanring.shutdown()
        try:
            spanring.span()
        except TypeError:
            print("TypeError")
        """
    printed = database.trace(program, ENABLE_DB_TRACING="false")
    assert printed.splitlines() == [
        "invalid: an argument is not of its form",
        "running: the tracer was started already",
        "TypeError",
    ]


def test_threads_that_trace_at_once(database: Database) -> None:
    database.trace(
        """
        import threading, spanring
        def work(t):
            for i in range(2000):
                with spanring.span(f"outer{t}", i=i), spanring.span(f"inner{t}"):
                    pass
        threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert spanring.flush(30)
        stats = spanring.stats()
        assert stats["persisted"] == stats["started"] == 32000, stats
        """
    )
    wrong = database.run(
        "SELECT count(*) FROM trace_spans AS span LEFT JOIN trace_spans AS above ON above.span_id = span.parent_span_id"
        " WHERE span.operation LIKE 'inner%' AND above.operation IS DISTINCT FROM replace(span.operation, 'inner', 'outer')"
    )
    assert wrong == "0"


def test_nothing_leaks() -> None:
    program = """
import gc, spanring, sys, tracemalloc
spanring.start(database_url="host=/nonexistent", ring_dir="off", journal_dir="off", log="off", exit_timeout_ms=0)
def round():
    for i in range(2000):
        with spanring.span("outer", text="t" * 10, number=i, job_id="j", execution_id=i):
            try:
                with spanring.span("inner"):
                    raise ValueError(i)
            except ValueError:
                pass
            spanring.extract(spanring.inject({}))
round()
tracemalloc.start()
round(); gc.collect()
before = tracemalloc.get_traced_memory()[0], sys.getrefcount(spanring.Span), sys.getrefcount(spanring.SpanContext)
round(); gc.collect()
after = tracemalloc.get_traced_memory()[0], sys.getrefcount(spanring.Span), sys.getrefcount(spanring.SpanContext)
assert after[0] - before[0] < 2000, (before, after)
assert after[1:] == before[1:], (before, after)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_what_a_values_own_code_does() -> None:
    """It ends the span, which another then has the place of; it raises what is the host's to see."""
    run(
        """
import contextvars, spanring
start()

class Ends:
    def __str__(self):
        ended.complete()
        taken.append(spanring.span("takes its place"))
        return "late"
    def __index__(self):
        ended.complete()
        taken.append(spanring.span("takes its place"))
        return 7

taken = []
for use in (lambda: ended.set_attribute("key", Ends()),
            lambda: ended.set_attribute(Ends(), 1),
            lambda: ended.set_execution_context(execution_id=Ends()),
            lambda: ended.set_execution_context(job_id=Ends()),
            lambda: ended.complete(Ends()),
            lambda: ended.complete_with_error(Ends(), Ends())):
    ended = spanring.span("ended")
    use()
    assert not ended.is_recording and all(span.is_recording for span in taken)

class Interrupts:
    def __str__(self):
        raise KeyboardInterrupt
ended = spanring.span("interrupted")
for use in (lambda: spanring.span("x", key=Interrupts()),
            lambda: ended.set_attribute("key", Interrupts()),
            lambda: ended.complete_with_error(Interrupts())):
    try:
        use()
    except KeyboardInterrupt:
        continue
    raise AssertionError
assert not ended.is_recording
spanring.span("nothing is left of it", key=1)

class Refuses:
    def __str__(self):
        raise ValueError
    __index__ = __str__
spanring.span("x", key=Refuses(), execution_id=Refuses())
"""
    )


def test_spans_that_are_never_left() -> None:
    run(
        """
import contextvars, spanring
start()
for _ in range(300_000):
    spanring.span("entered").__enter__()
spanring._native.exchange_current(None)  # All of them go, one inside the other.

# Entered under itself, and left elsewhere: it is not its own parent for ever.
elsewhere = contextvars.Context()
span = spanring.span("own")
with spanring.use_context(span):
    span.__enter__()
    elsewhere.run(span.__exit__, None, None, None)
    assert spanring.current_context().span_id == span.context.span_id

# The same by way of another span.
first, second = spanring.span("first"), spanring.span("second")
def under():
    second.__enter__()
    first.__enter__()
    elsewhere.run(second.__exit__, None, None, None)
    elsewhere.run(first.__exit__, None, None, None)
    spanring.current_span()
with first:
    copied = contextvars.copy_context()
copied.run(under)

# A block of a generator that ends in another context than it began in.
def holds():
    with spanring.use_context(first):
        yield
generator = holds()
contextvars.copy_context().run(next, generator)
with spanring.span("current") as current:
    generator.close()
    assert spanring.current_span() is current
# The same of a traced one, amid a step: as when garbage is collected.
import types
@types.coroutine
def wait():
    yield
@spanring.traced
async def stream():
    await wait()
    yield
async def reads():
    async for _ in stream():
        pass
coroutine = reads()
contextvars.copy_context().run(coroutine.send, None)
with spanring.span("current") as current:
    coroutine.close()
    assert spanring.current_span() is current
with spanring.use_context("no context"):
    assert spanring.current_context() is None and spanring.inject({}) == {}
"""
    )


def test_a_wait_hears_signals() -> None:
    run(
        """
import signal, spanring, time
start()
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
spanring.span("x").complete()
begin = time.monotonic()
try:
    spanring.flush(float("inf"))
except KeyboardInterrupt:
    assert time.monotonic() - begin < 5
else:
    raise AssertionError
"""
    )


def run(program: str) -> None:
    """A program that traces into nothing, with the interpreter's own checks."""
    start = (
        "import spanring\ndef start():\n    spanring.start(database_url='host=/nonexistent', ring_dir='off',"
        " journal_dir='off', log='off', exit_timeout_ms=0)\n"
    )
    done = subprocess.run([sys.executable, "-X", "dev", "-c", start + program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_groups_and_names_that_no_utf8_has(database: Database) -> None:
    database.trace(
        """
        import asyncio, spanring
        def fails(operation, error):
            try:
                with spanring.span(operation):
                    raise error
            except BaseException as seen:
                assert seen is error

        class LateAndOdd(TimeoutError):
            def __str__(self):
                raise RuntimeError("no text")

        fails("timeouts", ExceptionGroup("group", [TimeoutError("late"), ExceptionGroup("inner", [TimeoutError()])]))
        fails("mixed", ExceptionGroup("group", [TimeoutError(), ValueError("v")]))
        fails("surrogate", OSError("a\\udcff"))
        fails("odd", LateAndOdd())
        assert spanring.flush()
        """
    )
    found = {name: (s["status"], s["error_type"], s["error_message"]) for name, s in database.spans().items()}
    assert found == {
        "timeouts": ("timeout", "ExceptionGroup", "group (2 sub-exceptions); TimeoutError: late; TimeoutError: "),
        "mixed": ("failed", "ExceptionGroup", "group (2 sub-exceptions); TimeoutError: ; ValueError: v"),
        "surrogate": ("failed", "OSError", "a?"),
        "odd": ("timeout", "__main__.LateAndOdd", None),
    }


def test_traced_methods_and_those_who_ask_what_a_function_is(database: Database) -> None:
    database.trace(
        """
        import asyncio, contextlib, functools, inspect, spanring

        class Thing:
            @spanring.traced("static")
            @staticmethod
            def static(x): return x
            @spanring.traced
            @classmethod
            def cls(cls, x): return cls, x
            @spanring.traced("method")
            async def method(self, x): return x
            async def __call__(self):
                with spanring.span("called.inner"):
                    await asyncio.sleep(0)

        assert Thing.static(1) == Thing().static(1) == 1
        assert Thing.cls(1) == Thing().cls(1) == (Thing, 1)
        assert asyncio.run(Thing().method(1)) == 1
        asyncio.run(spanring.traced("called")(Thing())())
        assert spanring.traced(functools.partial(int, "7"))() == 7
        for wrong in (Thing, 7, property(len)):
            try:
                spanring.traced(wrong)
            except TypeError:
                continue
            raise AssertionError(wrong)

        @spanring.traced
        def generator():
            with spanring.span("generator.inner"):
                return (yield 1)
        @spanring.traced
        async def stream():
            try:
                while True:
                    try:
                        yield 1
                    except KeyError:
                        yield 2
            finally:
                await asyncio.sleep(0)
        # FastAPI's dependencies, pytest's fixtures and others tell them apart so.
        assert inspect.isgeneratorfunction(generator) and inspect.isasyncgenfunction(stream)
        with contextlib.contextmanager(generator)() as value:
            assert value == 1
        async def use():
            got = stream()
            assert await got.asend(None) == 1 and await got.athrow(KeyError()) == 2
            await got.aclose()
        asyncio.run(use())
        assert spanring.flush()
        assert spanring.stats()["open"] == 0
        """
    )
    spans = database.spans()
    assert spans["called.inner"]["parent"] == "called" and spans["generator.inner"]["parent"] == "__main__.generator"
    assert {"static", "__main__.Thing.cls", "method", "__main__.stream", "builtins.int"} <= set(spans)


def test_workers_of_multiprocessing_deliver(database: Database, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "workers.py"
    program.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys
            from concurrent.futures import ProcessPoolExecutor

            def work(name):
                import spanring
                with spanring.span(name):
                    pass

            if __name__ == "__main__":
                import spanring
                for method in ("fork", "spawn", "forkserver"):
                    context = multiprocessing.get_context(method)
                    with spanring.span(method):
                        process = context.Process(target=work, args=(method + ".process",))
                        process.start()
                        process.join()
                        assert process.exitcode == 0
                        with ProcessPoolExecutor(1, mp_context=context) as pool:
                            pool.submit(work, method + ".pool").result()
                assert spanring.flush()
            """
        )
    )
    # Rings in memory: nobody can deliver for a worker that has left.
    subprocess.run(
        [sys.executable, program],
        env=database.environment(SPANRING_RING_DIR="off", SPANRING_JOURNAL_DIR="off"),
        check=True,
        timeout=60,
    )
    parents = {name: span["parent"] for name, span in database.spans().items()}
    assert set(parents) == {
        f"{method}{part}" for method in ("fork", "spawn", "forkserver") for part in ("", ".process", ".pool")
    }
    assert parents["fork.process"] == "fork"
