"""A decorator for functions of all kinds."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar, overload

from spanring import _native
from spanring._native import Span

F = TypeVar("F", bound=Callable[..., Any])


def set_execution_context(
    job_id: str | None = None,
    execution_id: int | None = None,
    model_id: str | None = None,
    region: str | None = None,
) -> None:
    """Sets the columns of the current span; what is None stays as it was."""
    span = _native.current()
    if isinstance(span, Span):
        span.set_execution_context(job_id, execution_id, model_id, region)


class _Step:
    """Makes a generator's span current while its body runs, and not while its caller does."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._inside: Any = span
        self._outside: Any = None

    def __enter__(self) -> None:
        self._outside = _native.exchange_current(self._inside)

    def __exit__(self, *_: object) -> None:
        self._inside = _native.exchange_current(self._outside)


def _drive(span: Span, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    step = _Step(span)
    send: Callable[[], Any] = functools.partial(next, generator)
    try:
        while True:
            try:
                with step:
                    value = send()
            except StopIteration as stop:
                span.complete()
                return stop.value
            try:
                sent = yield value
                send = functools.partial(generator.send, sent)
            except GeneratorExit:
                with step:
                    generator.close()
                span.complete()
                raise
            except BaseException as error:
                send = functools.partial(generator.throw, error)
    except GeneratorExit:
        raise
    except BaseException as error:
        span.complete_with_error(error)
        raise


async def _drive_async(span: Span, generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    step = _Step(span)
    send: Callable[[], Any] = generator.__anext__
    try:
        while True:
            try:
                with step:
                    value = await send()
            except StopAsyncIteration:
                span.complete()
                return
            try:
                sent = yield value
                send = functools.partial(generator.asend, sent)
            except GeneratorExit:
                with step:
                    await generator.aclose()
                span.complete()
                raise
            except BaseException as error:
                send = functools.partial(generator.athrow, error)
    except GeneratorExit:
        raise
    except BaseException as error:
        span.complete_with_error(error)
        raise


def _wrap(function: Callable[..., Any], operation: str, settings: dict[str, Any]) -> Callable[..., Any]:
    import inspect  # Not needed by those who use `span` alone, and slow to import.

    start = functools.partial(_native.span, operation, **settings)

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with start():
            return await function(*args, **kwargs)

    def asynchronous_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        return _drive_async(start(), function(*args, **kwargs))

    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return _drive(start(), function(*args, **kwargs))

    def plain(*args: Any, **kwargs: Any) -> Any:
        with start():
            return function(*args, **kwargs)

    wrapper: Callable[..., Any] = plain
    if inspect.iscoroutinefunction(function):
        wrapper = coroutine
    elif inspect.isasyncgenfunction(function):
        wrapper = asynchronous_generator
    elif inspect.isgeneratorfunction(function):
        wrapper = generator
    return functools.wraps(function)(wrapper)


@overload
def traced(function: F, /) -> F: ...
@overload
def traced(operation: str | None = None, /, **settings: Any) -> Callable[[F], F]: ...


def traced(function: Any = None, /, **settings: Any) -> Any:
    """Makes each call of a function a span, named after it or by `operation`.

        @spanring.traced
        def encode(text): ...

        @spanring.traced("router.modal_call", kind="client")
        async def call(request): ...

    Of coroutines it lasts until they are done, of generators until they are exhausted or closed; the generator's
    span is current in its body only. Keywords are those of `span`.
    """
    if callable(function):
        return _wrap(function, f"{function.__module__}.{function.__qualname__}", settings)
    operation = function

    def decorate(decorated: F) -> F:
        name = operation or f"{decorated.__module__}.{decorated.__qualname__}"
        return _wrap(decorated, name, settings)  # type: ignore[return-value]

    return decorate
