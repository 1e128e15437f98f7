"""The current span, across threads, processes and services."""

from __future__ import annotations

import contextvars
import functools
import os
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import ParamSpec, TypeVar

from spanring import _native
from spanring._native import Span, SpanContext

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=MutableMapping[str, str])

# Of W3C: what others write there is passed on, by the rules of spanring/propagation.h.
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_MEMBERS = 32
_PRINTABLE = re.compile(r"[ -~]*")
_BAGGAGE_BYTES = 8192
Headers = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


def current_span() -> Span | None:
    """The span that `with` has made current here; None where there is none of this process."""
    value = _native.current()
    return value if isinstance(value, Span) else None


def current_context() -> SpanContext | None:
    """The parent that the next span takes."""
    value = _native.current()
    return value.context if isinstance(value, Span) else value


class use_context:  # noqa: N801: a function to those who use it.
    """Makes a context the parent of the spans that begin inside the block; None: they are roots."""

    def __init__(self, context: Span | SpanContext | None) -> None:
        self._context = context
        self._previous: Span | SpanContext | None = None

    def __enter__(self) -> None:
        self._previous = _native.exchange_current(self._context)

    def __exit__(self, *_: object) -> None:
        # A generator's block may end in another context than it began in, where all this is nobody's.
        _native.restore_current(self._context, self._previous)


def bind(function: Callable[P, T]) -> Callable[P, T]:
    """A callable that runs `function` under what is current now, on whatever thread it is called.

    For `threading.Thread`, `ThreadPoolExecutor.submit`, `loop.run_in_executor` and callbacks. It may be called
    again, and by several threads at once.
    """
    context = contextvars.copy_context()

    @functools.wraps(function)
    def bound(*args: P.args, **kwargs: P.kwargs) -> T:
        # A context can be entered once at a time.
        return context.copy().run(function, *args, **kwargs)

    return bound


def inject(headers: M, context: Span | SpanContext | None = None) -> M:
    """Writes `traceparent`, and what came with the trace, into `headers`; returns them.

    Of the current span where no context is given. Nothing is written where there is none.
    """
    given = context if context is not None else _native.current()
    chosen = given.context if isinstance(given, Span) else given
    if isinstance(chosen, SpanContext):
        headers["traceparent"] = chosen.traceparent
        for name, value in chosen.carried:
            headers[name] = value
    return headers


def _pairs(headers: Headers) -> Iterable[tuple[str | bytes, str | bytes]]:
    return headers.items() if isinstance(headers, Mapping) else headers


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _tracestate(header: str) -> str:
    members = [member for member in (part.strip(" \t") for part in header.split(",")) if member]
    if len(members) > _MEMBERS or not all(map(_MEMBER.fullmatch, members)):
        return ""
    return ",".join(members)


def _baggage(header: str) -> str:
    text = header.strip(" \t").replace("\t", " ")
    if not _PRINTABLE.fullmatch(text):
        return ""
    if len(text) > _BAGGAGE_BYTES:
        text = text[: _BAGGAGE_BYTES + 1].rpartition(",")[0].rstrip(" ")  # No member has a comma in it.
    return text


_CARRIED = {"tracestate": _tracestate, "baggage": _baggage}


def extract(headers: Headers) -> SpanContext | None:
    """The caller's context of a request's headers, whose names may be in any case, and text or bytes.

    None where there is no `traceparent`, or a malformed one. A malformed `tracestate` or `baggage` is left out.
    """
    parent = ""
    carried: dict[str, str] = {}
    for key, value in _pairs(headers):
        name = _text(key).lower()
        if name == "traceparent":
            parent = _text(value).strip()
        elif name in _CARRIED:
            # A list over several lines is one list.
            carried[name] = f"{carried[name]},{_text(value)}" if name in carried else _text(value)
    if not parent:
        return None
    read = ((name, _CARRIED[name](value)) for name, value in carried.items())
    return _native.read_traceparent(parent, tuple((name, value) for name, value in read if value))


def environment(context: Span | SpanContext | None = None) -> dict[str, str]:
    """The environment for a child process, with TRACEPARENT (and TRACESTATE, BAGGAGE) in it."""
    headers: dict[str, str] = {}
    written = {name.upper(): value for name, value in inject(headers, context).items()}
    inherited = dict(os.environ)
    if written:
        inherited.pop("TRACESTATE", None)  # It belongs to the TRACEPARENT that is replaced.
    return inherited | written


def extract_environment() -> SpanContext | None:
    """The context that the parent process left in TRACEPARENT."""
    names = ("TRACEPARENT", *(name.upper() for name in _CARRIED))
    return extract({name: os.environ[name] for name in names if name in os.environ})
