"""A server span for each request of an ASGI application: FastAPI, Starlette and others.

    app.add_middleware(spanring.asgi.Middleware)          # Or: app = spanring.asgi.Middleware(app)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from spanring import _context, _native

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_SERVER_ERROR = 500


def route_of(scope: Scope) -> str:
    """`GET /jobs/{id}`: the method and the route's pattern; the method alone where there is no router to ask."""
    method = str(scope.get("method", "WEBSOCKET"))
    for route in getattr(scope.get("app"), "routes", ()):
        path = getattr(route, "path", None)
        matches = getattr(route, "matches", None)
        # Match.FULL is 2: its name is Starlette's, which need not be there.
        if path is not None and matches is not None and matches(scope)[0].value == 2:
            return f"{method} {path}"
    return method


class Middleware:
    """Takes the caller's context from `traceparent`, and records method, path and status.

    The span is current while the application runs, and ends when it is done with the response. A status of 500
    or more is a failure; so is an exception, which passes on.
    """

    def __init__(
        self, app: Application, *, service: str = "", operation: Callable[[Scope], str] = route_of
    ) -> None:
        self._app = app
        self._service = service
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not _native.enabled():
            await self._app(scope, receive, send)
            return
        # The application is known to the router only once it runs.
        named = scope if "app" in scope else {**scope, "app": self._app}
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                span.set_attribute("http.response.status_code", status)
            await send(message)

        span = _native.span(
            self._operation(named),
            service=self._service,
            parent=_context.extract(scope.get("headers", ())),
            kind="server",
            **{"http.request.method": scope.get("method"), "url.path": scope.get("path")},
        )
        with span:
            await self._app(scope, receive, watch)
            if status >= _SERVER_ERROR:
                span.complete_with_error(f"HTTP {status}", str(status))
