"""Functions of containers that are frozen or killed right after they answer, such as Modal's.

    @app.function(image=image)
    @spanring.serverless.function("modal.inference", service="modal")
    def infer(prompt: str) -> str: ...

    infer.remote(prompt, traceparent=spanring.current_context().traceparent)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Literal, TypeVar

from spanring import _context, _life, _native, _traced
from spanring._native import Span, SpanContext

F = TypeVar("F", bound=Callable[..., Any])
Place = Literal["database", "journal"]
_log = logging.getLogger("spanring")


def _parent(kwargs: dict[str, Any], takes: frozenset[str]) -> SpanContext | None:
    """The caller's context of `traceparent` or `headers`; what the function does not take is taken away."""
    found = None
    for name in ("traceparent", "headers"):
        value = kwargs.get(name) if name in takes else kwargs.pop(name, None)
        if isinstance(value, str):
            value = {"traceparent": value}
        # Nothing else is looked into: an iterator would be used up.
        if isinstance(value, (Mapping, list, tuple)):
            try:
                found = found or _context.extract(value)
            except Exception:  # Not headers: the function's own business.
                continue
    return found


def _make_safe(place: Place, deadline: float) -> None:
    safe = _life.flush(deadline) if place == "database" else _life.flush_to_disk(deadline)
    if not safe:
        _log.warning(
            "failed to persist trace span: not in the %s within %g s; it is sent when the container goes on",
            place,
            deadline,
        )


async def _make_safe_beside(place: Place, deadline: float) -> None:
    """The same for a coroutine: its loop goes on meanwhile.

    On a thread of its own, since those of the loop's executor may all be in use for longer than the deadline.
    """
    try:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def tell() -> None:
            if not done.done():
                done.set_result(None)

        def work() -> None:
            try:
                _make_safe(place, deadline)
            finally:
                with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits.
                    loop.call_soon_threadsafe(tell)

        threading.Thread(target=work, name="spanring-flush", daemon=True).start()
    except RuntimeError:  # Another loop than asyncio's, or no thread to be had.
        _make_safe(place, deadline)
        return
    await done


def function(
    operation: str | None = None,
    /,
    *,
    deadline: float = 2.0,
    durable: Place = "database",
    **settings: Any,
) -> Callable[[F], F]:
    """Makes each call a server span, and its spans safe before the answer leaves.

    The parent comes as the keyword `traceparent` (W3C's text) or `headers` (a mapping), which the function itself
    need not take. `durable` says what safe is: committed in the database; or on disk in the journal
    (SPANRING_JOURNAL_DIR, on a volume that outlives the container), for a process or `spanring recover` to
    deliver. That takes `deadline` seconds at most; what was not in time is logged, counted in no drop, and sent
    when the container goes on. The function's result or exception is not touched. Of generators the span lasts, and
    its spans are made safe, from the first step to the end. Other keywords are those of `spanring.span`.
    """

    def decorate(decorated: F) -> F:
        name = operation or _traced.name_of(decorated)
        parameters = inspect.signature(decorated).parameters.values()
        takes = frozenset(p.name for p in parameters)
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            takes |= {"traceparent", "headers"}

        def start(kwargs: dict[str, Any]) -> Span:
            parent = _parent(kwargs, takes)
            # Called in its caller's process, it is the caller's child without being told.
            given: dict[str, Any] = {"kind": "server", **settings}
            if parent is not None:
                given["parent"] = parent
            return _native.span(name, **given)

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Span, Any]:
            span = start(kwargs)
            return span, decorated(*args, **kwargs)

        def make_safe() -> None:
            if _native.enabled():
                _make_safe(durable, deadline)

        async def make_safe_beside() -> None:
            if _native.enabled():
                await _make_safe_beside(durable, deadline)

        async def answer_async(*args: Any, **kwargs: Any) -> Any:
            try:
                with start(kwargs):
                    return await decorated(*args, **kwargs)
            finally:
                await make_safe_beside()

        drive = _traced.asynchronous_generator(begin)

        async def stream_async(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            parts = drive(*args, **kwargs)
            try:
                async for part in parts:
                    yield part
            finally:
                await parts.aclose()
                await make_safe_beside()

        def stream(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            try:
                return (yield from _traced.drive(*begin(args, kwargs)))
            finally:
                make_safe()

        def answer(*args: Any, **kwargs: Any) -> Any:
            try:
                with start(kwargs):
                    return decorated(*args, **kwargs)
            finally:
                make_safe()

        wrapper: Callable[..., Any] = answer
        body = _traced.body_of(decorated)
        if inspect.iscoroutinefunction(body) or inspect.iscoroutinefunction(decorated):
            wrapper = answer_async
        elif inspect.isasyncgenfunction(body):
            wrapper = stream_async
        elif inspect.isgeneratorfunction(body):
            wrapper = stream
        return functools.wraps(decorated)(wrapper)  # type: ignore[return-value]

    return decorate
