"""The process's tracer: how it starts, what it waits for, how it stops."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import Any

from spanring import _native

_OK, _OFF, _TIMEOUT, _LOSS = 0, 2, 5, 6
_NAMES = {"enabled": "ENABLE_DB_TRACING", "database_url": "DATABASE_URL", "service_name": "OTEL_SERVICE_NAME"}


class SpanringError(Exception):
    """A call that was asked to start or switch the tracer could not."""


def _ms(seconds: float) -> int:
    # float("inf") is as long as there is time.
    return int(min(seconds * 1000, 2**53))


def _check(code: int) -> None:
    if code != _OK:
        raise SpanringError(_native.code_text(code))


# --- Workers of multiprocessing ----------------------------------------------------------------------
# They leave by os._exit: what runs at the end of a process does not run, but what multiprocessing.util has been told.


class _Anchor:
    """It keeps what it is told for as long as something lives."""


def _exit_timeout(given: object = "") -> int:
    text = str(given) or os.environ.get("SPANRING_EXIT_TIMEOUT_MS", "")
    return int(text) if text.isdecimal() else 2000


_anchor = _Anchor()
_exit_timeout_ms = _exit_timeout()


def _leave() -> None:
    _native.shutdown(_exit_timeout_ms)


def _leave_in_order(_: object = None) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, _leave, exitpriority=-100)  # After what may still trace.


def _in_worker() -> None:
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        # A worker forgets its finalizers as it begins, and then runs these.
        util.register_after_fork(_anchor, _leave_in_order)


def follow_multiprocessing() -> None:
    os.register_at_fork(after_in_child=_in_worker)
    # Where the worker itself imports this: it has begun, or is about to.
    _in_worker()
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _leave_in_order()


def _deliver() -> None:
    # The interpreter takes its signal handlers away before the tracer's own exit hook runs: from then on a second
    # signal would end the process amid its last delivery. Servers get two: from the terminal or the service
    # manager, and from their master.
    with contextlib.suppress(SystemExit, KeyboardInterrupt):
        if _native.flush(_exit_timeout_ms) == _TIMEOUT:
            _native.shutdown(0)  # All the time there was.


def deliver_at_exit() -> None:
    atexit.register(_deliver)


def enabled() -> bool:
    """Whether spans are recorded. The first call, or span, starts the tracer if ENABLE_DB_TRACING says so."""
    return _native.enabled()


def start(**settings: object) -> None:
    """Starts the tracer: the environment's settings, some of them replaced.

    `enabled`, `database_url` and `service_name`; others by the rest of their names: `ring_bytes` is
    SPANRING_RING_BYTES. None leaves what the environment says. Raises SpanringError for one that there is not, or when it is running already.
    """
    global _exit_timeout_ms
    settings = {name: value for name, value in settings.items() if value is not None}
    _exit_timeout_ms = _exit_timeout(settings.get("exit_timeout_ms", ""))
    _check(
        _native.start(
            [f"{_NAMES.get(name) or 'SPANRING_' + name.upper()}={value}" for name, value in settings.items()]
        )
    )


def set_enabled(on: bool) -> None:
    """Switches recording off and on; spans that are open still end and arrive."""
    _check(_native.set_enabled(on))


def flush(timeout: float = 5.0) -> bool:
    """Waits until all spans that have ended are in the database.

    False when `timeout` seconds were not enough, or spans were dropped. True when tracing is off. Blocks the
    thread: in a coroutine, `await asyncio.to_thread(spanring.flush)`.
    """
    return _native.flush(_ms(timeout)) in (_OK, _OFF)


def flush_to_disk(timeout: float = 1.0) -> bool:
    """Waits, for milliseconds mostly, until they are in the journal on disk, where a kill cannot take them."""
    return _native.flush_to_disk(_ms(timeout)) in (_OK, _OFF)


def shutdown(timeout: float = 5.0) -> bool:
    """Flushes, then stops the tracer. The end of the interpreter does so by itself, for two seconds at most."""
    return _native.shutdown(_ms(timeout)) == _OK


def stats() -> dict[str, int]:
    """What became of this process's spans: started = persisted + sampled_out + journalled + open +
    dropped."""
    return _native.stats()
