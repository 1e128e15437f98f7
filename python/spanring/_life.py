"""The process's tracer: how it starts, what it waits for, how it stops."""

from __future__ import annotations

from spanring import _native

_OK, _OFF, _TIMEOUT, _LOSS = 0, 2, 5, 6
_NAMES = {"enabled": "ENABLE_DB_TRACING", "database_url": "DATABASE_URL", "service_name": "OTEL_SERVICE_NAME"}


class SpanringError(Exception):
    """A call that was asked to start or switch the tracer could not."""


def _check(code: int) -> None:
    if code != _OK:
        raise SpanringError(_native.code_text(code))


def enabled() -> bool:
    """Whether spans are recorded. The first call, or span, starts the tracer if ENABLE_DB_TRACING says so."""
    return _native.enabled()


def start(**settings: object) -> None:
    """Starts the tracer: the environment's settings, some of them replaced.

    `enabled`, `database_url` and `service_name`; others by the rest of their names: `ring_bytes` is
    SPANRING_RING_BYTES. Raises SpanringError for one that there is not, or when it is running already.
    """
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
    return _native.flush(int(timeout * 1000)) in (_OK, _OFF)


def flush_to_disk(timeout: float = 1.0) -> bool:
    """Waits, for milliseconds mostly, until they are in the journal on disk, where a kill cannot take them."""
    return _native.flush_to_disk(int(timeout * 1000)) in (_OK, _OFF)


def shutdown(timeout: float = 5.0) -> bool:
    """Flushes, then stops the tracer. The end of the interpreter does so by itself, for two seconds at most."""
    return _native.shutdown(int(timeout * 1000)) == _OK


def stats() -> dict[str, int]:
    """What became of this process's spans: started = persisted + journalled + open + dropped."""
    return _native.stats()
