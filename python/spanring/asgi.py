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


def _pattern(router: Any, scope: Scope) -> str | None:
    for route in getattr(router, "routes", None) or ():
        path = getattr(route, "path", None)
        matches = getattr(route, "matches", None)
        if path is None or matches is None:
            continue
        match, inside = matches(scope)
        # Match.FULL is 2: its name is Starlette's, which need not be there.
        if match.value == 2:
            # What is mounted there may have routes of its own.
            below = _pattern(route, {**scope, **inside}) if hasattr(route, "routes") else None
            return f"{path}{below or ''}"
    return None


def route_of(scope: Scope) -> str:
    """`GET /jobs/{id}`: the method and the route's pattern; the method alone where there is no router to ask."""
    method = str(scope.get("method", "WEBSOCKET"))
    pattern = _pattern(scope.get("app"), scope)
    return method if pattern is None else f"{method} {pattern}"


class Middleware:
    """Takes the caller's context from `traceparent`, and records method, path and status.

    The span is current while the application runs, and ends with the response: tasks in the background go on under
    it. A status of 500 or more is a failure, and waits for the application to say why; so is an exception, which
    passes on.
    """

    def __init__(
        self, app: Application, *, service: str = "", operation: Callable[[Scope], str] = route_of
    ) -> None:
        self._app = app
        self._service = service
        self._operation = operation

    def _name(self, scope: Scope) -> str:
        # The application is known to the router only once it runs.
        named = scope if "app" in scope else {**scope, "app": self._app}
        try:
            return self._operation(named)
        except Exception:  # The request is served all the same.
            return str(scope.get("method", "WEBSOCKET"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not _native.enabled():
            await self._app(scope, receive, send)
            return
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                span.set_attribute("http.response.status_code", status)
            await send(message)
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if is_last and status < _SERVER_ERROR:
                span.complete()

        span = _native.span(
            self._name(scope),
            service=self._service,
            parent=_context.extract(scope.get("headers", ())),
            kind="server",
            **{"http.request.method": scope.get("method"), "url.path": scope.get("path")},
        )
        with span:
            await self._app(scope, receive, watch)
            if status >= _SERVER_ERROR:
                span.complete_with_error(f"HTTP {status}", str(status))
