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
        self._context = 0

    def __enter__(self) -> None:
        self._outside = _native.exchange_current(self._inside)
        self._context = _native.context_number()

    def __exit__(self, *_: object) -> None:
        # A step that waits, and is closed by whoever collects garbage, ends in a context that is not its own.
        if _native.context_number() == self._context:
            self._inside = _native.exchange_current(self._outside)


def drive(span: Span, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
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
    finally:
        del send  # It may hold the exception that holds this frame.


Begin = Callable[[tuple[Any, ...], dict[str, Any]], tuple[Span, Any]]


def asynchronous_generator(begin: Begin) -> Callable[..., AsyncGenerator[Any, Any]]:
    """A function that drives the generator that `begin` gives, for its arguments, under the span."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        span, generator = begin(args, kwargs)
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
        finally:
            del send

    return wrapper


def name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def body_of(function: Any) -> Any:
    """What says whether a call gives a coroutine or a generator: of an object, its `__call__`."""
    import inspect  # Not needed by those who use `span` alone, and slow to import.

    is_plain = inspect.isroutine(function) or isinstance(function, functools.partial)
    return function if is_plain else type(function).__call__


def _wrap(function: Any, operation: str | None, settings: dict[str, Any]) -> Any:
    import inspect

    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_wrap(function.__func__, operation, settings))
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"traced() is for functions and methods, not for {function!r}")
    start = functools.partial(_native.span, operation or name_of(function), **settings)

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with start():
            return await function(*args, **kwargs)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Span, Any]:
        generator = function(*args, **kwargs)
        return start(), generator

    # Generators of both kinds by functions that inspect knows as such: FastAPI and others ask it.
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from drive(*begin(args, kwargs)))

    def plain(*args: Any, **kwargs: Any) -> Any:
        with start():
            return function(*args, **kwargs)

    wrapper: Callable[..., Any] = plain
    body = body_of(function)
    if inspect.iscoroutinefunction(body) or inspect.iscoroutinefunction(function):
        wrapper = coroutine
    elif inspect.isasyncgenfunction(body):
        wrapper = asynchronous_generator(begin)
    elif inspect.isgeneratorfunction(body):
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

    Of coroutines it lasts until they are done, of generators from their first step until they are exhausted or
    closed; the generator's span is current in its body only. Methods of all kinds will do; classes raise TypeError.
    Keywords are those of `span`.
    """
    if function is not None and not isinstance(function, str):
        return _wrap(function, None, settings)
    return lambda decorated: _wrap(decorated, function, settings)
