"""Functions of containers that are frozen or killed right after they answer, such as Modal's.

    @app.function(image=image)
    @spanring.serverless.function("modal.inference", service="modal")
    def infer(prompt: str) -> str: ...

    infer.remote(prompt, traceparent=spanring.current_context().traceparent)
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from spanring import _context, _life, _native
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
        if value:
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
    when the container goes on. The function's result or exception is not touched. Other keywords are those of
    `spanring.span`.
    """

    def decorate(decorated: F) -> F:
        name = operation or f"{decorated.__module__}.{decorated.__qualname__}"
        parameters = inspect.signature(decorated).parameters.values()
        takes = frozenset(p.name for p in parameters)
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            takes |= {"traceparent", "headers"}

        def start(kwargs: dict[str, Any]) -> Span:
            return _native.span(name, parent=_parent(kwargs, takes), kind="server", **settings)

        if inspect.iscoroutinefunction(decorated):

            async def answer_async(*args: Any, **kwargs: Any) -> Any:
                try:
                    with start(kwargs):
                        return await decorated(*args, **kwargs)
                finally:
                    if _native.enabled():
                        await asyncio.shield(asyncio.to_thread(_make_safe, durable, deadline))

            return functools.wraps(decorated)(answer_async)  # type: ignore[return-value]

        def answer(*args: Any, **kwargs: Any) -> Any:
            try:
                with start(kwargs):
                    return decorated(*args, **kwargs)
            finally:
                if _native.enabled():
                    _make_safe(durable, deadline)

        return functools.wraps(decorated)(answer)  # type: ignore[return-value]

    return decorate
