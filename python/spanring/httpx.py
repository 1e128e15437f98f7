"""A client span for each request of an httpx client, which carries the context on.

    client = spanring.httpx.trace(httpx.AsyncClient())
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, TypeVar

import httpx

from spanring import _context, _native
from spanring._native import Span

C = TypeVar("C", httpx.Client, httpx.AsyncClient)
_ERROR = 400


def _start(request: httpx.Request, service: str) -> Span:
    url = request.url
    attributes: dict[str, Any] = {
        "http.request.method": request.method,
        "server.address": url.host,
        "server.port": url.port,
        "url.path": url.path,
    }
    span = _native.span(f"{request.method} {url.host}", service=service, kind="client", **attributes)
    _context.inject(request.headers, span)
    return span


class _Ending:
    """Ends a span once: by the response's end, or by what kept it from coming."""

    def __init__(self, span: Span, status: int) -> None:
        span.set_attribute("http.response.status_code", status)
        self._span = span
        self._status = status

    def failed(self, error: BaseException) -> None:
        self._span.complete_with_error(error)

    def done(self) -> None:
        if self._status >= _ERROR:
            self._span.complete_with_error(f"HTTP {self._status}", str(self._status))
        else:
            self._span.complete()


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, ending: _Ending) -> None:
        self._stream = stream
        self._ending = ending

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except GeneratorExit:  # Not read to its end: nothing failed.
            raise
        except BaseException as error:
            self._ending.failed(error)
            raise

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._ending.done()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, ending: _Ending) -> None:
        self._stream = stream
        self._ending = ending

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except GeneratorExit:
            raise
        except BaseException as error:
            self._ending.failed(error)
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._ending.done()


class Transport(httpx.BaseTransport):
    """Wraps another transport."""

    def __init__(self, transport: httpx.BaseTransport, *, service: str = "") -> None:
        self._transport = transport
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not _native.enabled():
            return self._transport.handle_request(request)
        span = _start(request, self._service)
        try:
            response = self._transport.handle_request(request)
        except BaseException as error:
            span.complete_with_error(error)
            raise
        ending = _Ending(span, response.status_code)
        # A response that came whole, from a cache or a stub, is not read again.
        if isinstance(response.stream, httpx.SyncByteStream) and not response.is_closed:
            response.stream = _Stream(response.stream, ending)
        else:
            ending.done()
        return response

    def __enter__(self) -> Transport:
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._transport.__exit__(kind, error, traceback)

    def close(self) -> None:
        self._transport.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """Wraps another transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *, service: str = "") -> None:
        self._transport = transport
        self._service = service

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not _native.enabled():
            return await self._transport.handle_async_request(request)
        span = _start(request, self._service)
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            span.complete_with_error(error)
            raise
        ending = _Ending(span, response.status_code)
        # A response that came whole, from a cache or a stub, is not read again.
        if isinstance(response.stream, httpx.AsyncByteStream) and not response.is_closed:
            response.stream = _AsyncStream(response.stream, ending)
        else:
            ending.done()
        return response

    async def __aenter__(self) -> AsyncTransport:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._transport.__aexit__(kind, error, traceback)

    async def aclose(self) -> None:
        await self._transport.aclose()


def trace(client: C, *, service: str = "") -> C:
    """Makes each request of a client a span, from its start to the end of the response's body.

    An answer of 400 or more is a failure, and what httpx raises: its type is the span's error type, and what
    times out is `timeout`. Returns the client; one that is traced already is left as it is.
    """
    if isinstance(client._transport, (Transport, AsyncTransport)):
        return client
    if isinstance(client, httpx.AsyncClient):
        client._transport = AsyncTransport(client._transport, service=service)
        for pattern, mounted in client._mounts.items():
            if mounted is not None:
                client._mounts[pattern] = AsyncTransport(mounted, service=service)
    else:
        client._transport = Transport(client._transport, service=service)
        for pattern, mount in client._mounts.items():
            if mount is not None:
                client._mounts[pattern] = Transport(mount, service=service)
    return client
