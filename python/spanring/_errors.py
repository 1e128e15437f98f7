"""What an exception says of the span that it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

_MESSAGE_CHARACTERS = 16_000
_LEAVES_TOLD = 10


def type_name(error: BaseException) -> str:
    """``ConnectionRefusedError``, ``httpx.ReadTimeout``: the module's name in front, but for built-in ones."""
    kind = type(error)
    module = str(kind.__module__).partition(".")[0]
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # Its type is known all the same.
        return ""


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for each in error.exceptions:
        yield from _leaves(each)


def _is_timeout(error: BaseException) -> bool:
    # A group, as of a TaskGroup, is one if all in it are.
    return all(
        isinstance(leaf, TimeoutError) or any("timeout" in kind.__name__.lower() for kind in type(leaf).__mro__)
        for leaf in _leaves(error)
    )


def _message(error: BaseException) -> str:
    if not isinstance(error, BaseExceptionGroup):
        return _text(error)
    leaves = (f"{type_name(leaf)}: {_text(leaf)}" for leaf in islice(_leaves(error), _LEAVES_TOLD))
    return "; ".join((_text(error), *leaves))


def describe(error: BaseException) -> tuple[str, str, str]:
    """Status, error type and message. Ends that are no failure give ``completed``, and nothing else."""
    if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
        return "completed", "", ""
    # By name: importing asyncio would triple what a cold start takes.
    if any(kind.__name__ == "CancelledError" for kind in type(error).__mro__):
        return "failed", "CancelledError", _text(error) or "cancelled"
    return "timeout" if _is_timeout(error) else "failed", type_name(error), _message(error)[:_MESSAGE_CHARACTERS]
