"""Distributed tracing into PostgreSQL.

    import spanring

    with spanring.span("router.inference_request", execution_id=2193, model_id="llama-3-70b") as span:
        span.set_attribute("tokens", 512)
        headers = spanring.inject({})          # For the next service.

Off unless ENABLE_DB_TRACING is true; DATABASE_URL says where to. Asyncio tasks and `asyncio.to_thread` inherit
the current span; for other threads there is `bind`. Nothing here raises because of what a value is, blocks (but
`flush` and `shutdown`), or slows its host by more than a microsecond a span.
"""

from __future__ import annotations

from spanring import _errors, _life, _native
from spanring._context import (
    bind,
    current_context,
    current_span,
    environment,
    extract,
    extract_environment,
    inject,
    use_context,
)
from spanring._life import (
    SpanringError,
    enabled,
    flush,
    flush_to_disk,
    set_enabled,
    shutdown,
    start,
    stats,
)
from spanring._native import Span, SpanContext, span
from spanring._traced import set_execution_context, traced

_native.set_describer(_errors.describe)
_life.follow_multiprocessing()
_life.deliver_at_exit()

__all__ = [
    "Span",
    "SpanContext",
    "SpanringError",
    "bind",
    "current_context",
    "current_span",
    "enabled",
    "environment",
    "extract",
    "extract_environment",
    "flush",
    "flush_to_disk",
    "inject",
    "set_enabled",
    "set_execution_context",
    "shutdown",
    "span",
    "start",
    "stats",
    "traced",
    "use_context",
]
