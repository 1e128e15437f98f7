"""What an exception says of the span that it leaves."""

from __future__ import annotations

_MESSAGE_CHARACTERS = 16_000


def type_name(error: BaseException) -> str:
    """``ConnectionRefusedError``, ``httpx.ReadTimeout``: the module's name in front, but for built-in ones."""
    kind = type(error)
    module = kind.__module__.partition(".")[0]
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or any(
        "timeout" in kind.__name__.lower() for kind in type(error).__mro__
    )


def describe(error: BaseException) -> tuple[str, str, str]:
    """Status, error type and message. Ends that are no failure give ``completed``, and nothing else."""
    if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
        return "completed", "", ""
    # By name: importing asyncio would triple what a cold start takes.
    if any(kind.__name__ == "CancelledError" for kind in type(error).__mro__):
        return "failed", "CancelledError", str(error) or "cancelled"
    return "timeout" if _is_timeout(error) else "failed", type_name(error), str(error)[:_MESSAGE_CHARACTERS]
