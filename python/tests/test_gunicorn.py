"""Workers of gunicorn, which fork before or after the program is imported, and are killed."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from conftest import Database

APPLICATION = '''
import os, spanring, spanring.asgi, spanring.wsgi

if "START_URL" in os.environ:
    spanring.start(database_url=os.environ["START_URL"])
with spanring.span("import"):
    pass
with open(os.environ["IMPORTED"], "a") as file:
    print(os.getpid(), file=file)

def work():
    with spanring.span("work", pid=os.getpid()):
        return str(os.getpid()).encode()

def plain(environment, start_response):
    body = work()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

async def asynchronous(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    body = work()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})

wsgi = spanring.wsgi.Middleware(plain)
asgi = spanring.asgi.Middleware(asynchronous)
'''
UVICORN = "uvicorn.workers.UvicornWorker"
PATIENCE = 60  # Seconds until a test gives up.


class Gunicorn:
    """Two workers, in a session of their own."""

    def __init__(self, database: Database, folder: pathlib.Path, worker: str, *, preload: bool) -> None:
        (folder / "application.py").write_text(APPLICATION)
        self.imported_file = folder / "imported"
        self.imported_file.touch()
        environment = database.environment(IMPORTED=str(self.imported_file), PYTHONPATH=str(folder))
        if preload:
            # What the master started goes on in its workers, with the same settings.
            del environment["ENABLE_DB_TRACING"], environment["DATABASE_URL"]
            environment["START_URL"] = database.url
        self.served: list[int] = []
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--workers", "2", "--worker-class", worker),
                *("--bind", "127.0.0.1:0", *(["--threads", "4"] if worker == "gthread" else [])),
                *(["--preload"] if preload else []),
                "application:asgi" if worker == UVICORN else "application:wsgi",
            ],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stderr is not None
        self.log: list[str] = []
        for line in self.process.stderr:
            self.log.append(line)
            if listening := re.search(r"Listening at: (http://\S+)", line):
                self.address = listening[1]
                break
        else:
            raise AssertionError("".join(self.log))
        self.reader = threading.Thread(target=self.log.extend, args=[self.process.stderr], daemon=True)
        self.reader.start()

    def imported(self) -> list[int]:
        return [int(line) for line in self.imported_file.read_text().split()]

    def until(self, condition: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < give_up, "".join(self.log)
            time.sleep(0.05)

    def request(self, _: int = 0) -> None:
        with urllib.request.urlopen(self.address, timeout=PATIENCE) as answer:
            self.served.append(int(answer.read()))

    def requests(self, count: int) -> None:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self.request, range(count)))

    def wait(self) -> None:
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.wait()


Start = Callable[..., Gunicorn]


@pytest.fixture
def start(database: Database, tmp_path: pathlib.Path) -> Iterator[Start]:
    started: list[Gunicorn] = []

    def start(worker: str, *, preload: bool) -> Gunicorn:
        started.append(Gunicorn(database, tmp_path, worker, preload=preload))
        return started[-1]

    yield start
    for gunicorn in started:
        gunicorn.kill()


def stored(database: Database) -> dict[str, int]:
    """How many spans of each operation; each once."""
    rows = database.rows("SELECT operation, count(*), count(DISTINCT span_id) AS ids FROM trace_spans GROUP BY 1")
    assert all(row["count"] == row["ids"] for row in rows), rows
    return {row["operation"]: row["count"] for row in rows}


@pytest.mark.parametrize("preload", [False, True], ids=["forked before the import", "preload"])
@pytest.mark.parametrize("worker", ["sync", "gthread", UVICORN])
def test_spans_of_workers_arrive_once(database: Database, start: Start, worker: str, preload: bool) -> None:
    gunicorn = start(worker, preload=preload)
    gunicorn.requests(30)
    killed = gunicorn.served[-1]
    os.kill(killed, signal.SIGKILL)
    gunicorn.until(lambda: sum("Booting worker" in line for line in gunicorn.log) == 3)
    gunicorn.until(lambda: len(gunicorn.imported()) == (1 if preload else 3))
    gunicorn.requests(30)
    gunicorn.process.send_signal(signal.SIGTERM)
    gunicorn.wait()

    # Those who ended in order have delivered.
    there = database.rows(f"SELECT count(*) FROM trace_spans WHERE metadata ->> 'pid' <> '{killed}'")
    assert there == [{"count": sum(pid != killed for pid in gunicorn.served)}], gunicorn.log
    # What the killed one left may have been found by its successor.
    subprocess.run([os.environ["SPANRING_PROGRAM"], "recover", "-d", database.url], check=True, capture_output=True)
    assert stored(database) == {"GET": 60, "work": 60, "import": 1 if preload else 3}
    assert database.rows("SELECT status, count(*) FROM trace_spans WHERE operation = 'work' GROUP BY 1") == [
        {"status": "completed", "count": 60}
    ]
    lost = database.rows("SELECT sum(spans_dropped) AS dropped, sum(spans_started) AS started FROM trace_writers")
    assert lost == [{"dropped": 0, "started": 121 if preload else 123}]


def test_more_signals_do_not_interrupt_the_last_delivery(database: Database) -> None:
    """Ctrl-C reaches workers from the terminal and from their master; a service manager does the same with SIGTERM."""
    program = """
import signal, sys, spanring
signal.signal(signal.SIGTERM, lambda *_: None)
for _ in range(30):
    with spanring.span("work"):
        pass
print("leaving", flush=True)
"""
    # So late that only the end delivers.
    environment = database.environment(SPANRING_FLUSH_INTERVAL_MS="60000")
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"leaving\n"
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.001)
    assert stored(database) == {"work": 30}
