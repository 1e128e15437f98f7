"""What works without any package: run by a second interpreter, with DATABASE_URL or without."""

import asyncio

import spanring

assert not spanring.enabled()
with spanring.span("off", attempt=1) as span:
    span.set_attribute("key", object())
    assert not span.is_recording
    assert spanring.inject({}) == {}
assert spanring.flush(0)

spanring.start(database_url="host=/nonexistent", ring_dir="off", journal_dir="off", log="off", exit_timeout_ms=0)
assert spanring.enabled()


async def child(name: str) -> str:
    with spanring.span(name) as span:
        await asyncio.sleep(0)
        assert span.context is not None
        return span.context.trace_id


async def main() -> None:
    with spanring.span("root", execution_id=1) as root:
        assert root.context is not None
        traces = await asyncio.gather(*(child(f"child{i}") for i in range(10)))
        assert set(traces) == {root.context.trace_id}


asyncio.run(main())
context = spanring.extract({"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"})
assert context is not None and context.span_id == "b7ad6b7169203331"
with spanring.use_context(context), spanring.span("joined") as joined:
    headers = spanring.inject({})
    assert headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-"), headers
    assert headers["traceparent"] == joined.traceparent
    assert headers["tracestate"] == "a=b"
stats = spanring.stats()
assert stats["started"] == 12 and stats["open"] == 0, stats
assert stats["started"] == stats["persisted"] + stats["journalled"] + stats["open"] + stats["dropped"], stats
print("ok")
