"""A server span for each request of a WSGI application, such as Flask's.

    app.wsgi_app = spanring.wsgi.Middleware(app.wsgi_app)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spanring import _context, _native
from spanring._native import Span

_SERVER_ERROR = 500
Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]


class _Body:
    """Is current while the response is made, and ends the span when the server closes it."""

    def __init__(self, span: Span, body: Iterable[bytes], status: list[int]) -> None:
        self._span = span
        self._body = body
        self._status = status

    def __iter__(self) -> Iterator[bytes]:
        try:
            with _context.use_context(self._span):
                parts = iter(self._body)
            while True:
                # Not while the server sends it: that may go on to another request.
                with _context.use_context(self._span):
                    try:
                        part = next(parts)
                    except StopIteration:
                        return
                yield part
        except GeneratorExit:
            raise
        except BaseException as error:
            self._span.complete_with_error(error)
            raise

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                with _context.use_context(self._span):
                    close()
        except BaseException as error:
            self._span.complete_with_error(error)
            raise
        finally:
            _end(self._span, self._status)


class _SizedBody(_Body):
    """Servers make a Content-Length of a body that is one part."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


def _end(span: Span, status: list[int]) -> None:
    if status and status[0] >= _SERVER_ERROR:
        span.complete_with_error(f"HTTP {status[0]}", str(status[0]))
    else:
        span.complete()


def _path(environment: Environment) -> str:
    # PEP 3333: bytes, as Latin-1.
    return str(environment.get("PATH_INFO", "")).encode("latin-1", "replace").decode("utf-8", "replace")


class Middleware:
    """Takes the caller's context from `traceparent`, and records method, path and status."""

    def __init__(self, app: Application, *, service: str = "") -> None:
        self._app = app
        self._service = service

    def __call__(self, environment: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not _native.enabled():
            return self._app(environment, start_response)
        headers = {
            name[5:].lower(): value
            for name, value in environment.items()
            if name in ("HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HTTP_BAGGAGE")
        }
        method = environment.get("REQUEST_METHOD", "")
        span = _native.span(
            method,
            service=self._service,
            parent=_context.extract(headers),
            kind="server",
            **{"http.request.method": method, "url.path": _path(environment)},
        )
        status: list[int] = []

        def watch(line: str, *rest: Any, **named: Any) -> Any:
            code = line.split(" ", 1)[0]
            status[:] = [int(code)] if code.isdigit() else []
            span.set_attribute("http.response.status_code", status[0] if status else line)
            return start_response(line, *rest, **named)

        try:
            with _context.use_context(span):
                body = self._app(environment, watch)
        except BaseException as error:
            span.complete_with_error(error)
            raise
        return (_SizedBody if hasattr(body, "__len__") else _Body)(span, body, status)
