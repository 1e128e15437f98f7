"""Servers and clients: FastAPI under uvicorn, WSGI, httpx."""

from __future__ import annotations

from conftest import Database

SERVER = """
import asyncio, contextlib, os, socket, sys, threading, time
import fastapi, httpx, uvicorn
import spanring, spanring.asgi, spanring.httpx

app = fastapi.FastAPI()
app.add_middleware(spanring.asgi.Middleware, service="router")

@app.get("/jobs/{job}")
async def job(job: str):
    with spanring.span("router.work"):
        await asyncio.sleep(0)
    return {"job": job, "baggage": spanring.inject({}).get("baggage")}

@app.get("/breaks")
async def breaks():
    raise ValueError("broken")

@app.get("/unavailable")
async def unavailable():
    raise fastapi.HTTPException(503)

@app.get("/stream")
async def stream():
    async def parts():
        yield b"a"
        with spanring.span("router.part"):
            yield b"b"
    return fastapi.responses.StreamingResponse(parts())

@contextlib.contextmanager
def serving():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
"""


def test_fastapi_and_httpx_are_one_trace(database: Database) -> None:
    database.trace(
        SERVER
        + """
async def main(address):
    async with spanring.httpx.trace(httpx.AsyncClient(), service="runner") as client:
        with spanring.span("runner.question", service="runner"):
            answer = await client.get(address + "/jobs/7", headers={"baggage": "k=v"})
            assert answer.json() == {"job": "7", "baggage": "k=v"}
            for path in ("/breaks", "/unavailable", "/nowhere"):
                assert (await client.get(address + path)).status_code >= 400
            async with client.stream("GET", address + "/stream") as answer:
                assert b"".join([part async for part in answer.aiter_bytes()]) == b"ab"

with serving() as address:
    asyncio.run(main(address))
assert spanring.flush()
"""
    )
    spans = database.spans()
    assert spans["GET /jobs/{job}"]["parent"] == "GET 127.0.0.1"
    assert spans["router.work"]["parent"] == "GET /jobs/{job}"
    assert spans["router.part"]["parent"] == "GET /stream"
    assert len({span["trace_id"] for span in spans.values()}) == 1
    assert spans["GET /jobs/{job}"]["metadata"] == {
        "span.kind": "server",
        "http.request.method": "GET",
        "url.path": "/jobs/7",
        "http.response.status_code": 200,
    }
    found = {name: (span["service"], span["status"], span["error_type"]) for name, span in spans.items()}
    assert found["GET /breaks"] == ("router", "failed", "ValueError")
    assert found["GET /unavailable"] == ("router", "failed", "503")
    assert found["GET"] == ("router", "completed", None)
    clients = database.rows(
        "SELECT metadata ->> 'url.path' AS path, status, error_type FROM trace_spans"
        " WHERE metadata ->> 'span.kind' = 'client' ORDER BY started_at"
    )
    assert [(c["path"], c["status"], c["error_type"]) for c in clients] == [
        ("/jobs/7", "completed", None),
        ("/breaks", "failed", "500"),
        ("/unavailable", "failed", "503"),
        ("/nowhere", "failed", "404"),
        ("/stream", "completed", None),
    ]
    trace = spans["router.work"]["trace_id"]
    pairs = database.rows(f"SELECT pairing, network_ns FROM trace_network_times(NULL, '{trace}')")
    assert len(pairs) == 5 and all(pair["pairing"] == "kind" and pair["network_ns"] >= 0 for pair in pairs)


def test_websockets_and_applications_without_a_router(database: Database) -> None:
    database.trace(
        """
        import asyncio, spanring, spanring.asgi

        async def application(scope, receive, send):
            with spanring.span(scope["type"] + ".work"):
                await send({"type": "websocket.accept"})

        async def main():
            wrapped = spanring.asgi.Middleware(application, operation=lambda scope: scope["type"])
            async def quiet(*_): pass
            for kind in ("websocket", "http", "lifespan"):
                await wrapped({"type": kind, "path": "/", "headers": []}, quiet, quiet)

        asyncio.run(main())
        assert spanring.flush()
        """
    )
    parents = {name: span["parent"] for name, span in database.spans().items()}
    assert parents == {
        "websocket": None,
        "websocket.work": "websocket",
        "http": None,
        "http.work": "http",
        "lifespan.work": None,
    }


def test_what_httpx_raises_is_told(database: Database) -> None:
    database.trace(
        """
        import httpx, socket, threading, time, spanring, spanring.httpx
        silent = socket.create_server(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        free = socket.create_server(("127.0.0.1", 0))
        refused = free.getsockname()[1]
        free.close()
        cut = socket.create_server(("127.0.0.1", 0))
        def answer():
            connection, _ = cut.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nabc")
            time.sleep(0.6)
            connection.close()
        thread = threading.Thread(target=answer)
        thread.start()
        client = spanring.httpx.trace(httpx.Client(timeout=0.2), service="runner")
        for operation, address in {"refused": refused, "silent": port, "cut": cut.getsockname()[1]}.items():
            try:
                with spanring.span(operation):
                    client.get(f"http://127.0.0.1:{address}/")
            except httpx.TransportError:
                pass
            else:
                raise AssertionError(operation)
        thread.join()
        for each in (silent, cut, client): each.close()
        assert spanring.flush()
        """
    )
    told = database.rows(
        "SELECT above.operation, span.status, span.error_type, above.status AS above_status FROM trace_spans AS span"
        " JOIN trace_spans AS above ON above.span_id = span.parent_span_id ORDER BY 1"
    )
    assert [tuple(row.values()) for row in told] == [
        ("cut", "timeout", "httpx.ReadTimeout", "timeout"),
        ("refused", "failed", "httpx.ConnectError", "failed"),
        ("silent", "timeout", "httpx.ReadTimeout", "timeout"),
    ]


def test_wsgi(database: Database) -> None:
    database.trace(
        """
        import spanring, spanring.wsgi
        from wsgiref.validate import validator
        from wsgiref.util import setup_testing_defaults

        def application(environment, start_response):
            if environment["PATH_INFO"] == "/raises":
                raise ConnectionResetError("gone")
            with spanring.span("work"):
                pass
            code = environment["PATH_INFO"][1:]
            start_response(f"{code} Word", [("Content-Type", "text/plain")])
            return [b"a", b"b"]

        wrapped = validator(spanring.wsgi.Middleware(validator(application), service="flask"))
        for path in ("/200", "/503", "/raises"):
            environment = {}
            setup_testing_defaults(environment)
            environment |= {"PATH_INFO": path, "QUERY_STRING": "",
                            "HTTP_TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
            try:
                body = wrapped(environment, lambda status, headers, info=None: lambda data: None)
                assert b"".join(body) == b"ab"
                body.close()
            except ConnectionResetError:
                pass
        assert spanring.flush()
        """
    )
    told = database.rows(
        "SELECT metadata ->> 'url.path' AS path, status, error_type, trace_id FROM trace_spans"
        " WHERE operation = 'GET' ORDER BY started_at"
    )
    assert [tuple(row.values()) for row in told] == [
        ("/200", "completed", None, "0af76519-16cd-43dd-8448-eb211c80319c"),
        ("/503", "failed", "503", "0af76519-16cd-43dd-8448-eb211c80319c"),
        ("/raises", "failed", "ConnectionResetError", "0af76519-16cd-43dd-8448-eb211c80319c"),
    ]
    assert database.run(
        "SELECT count(*) FROM trace_spans AS span JOIN trace_spans AS above ON above.span_id = span.parent_span_id"
        " WHERE span.operation = 'work' AND above.operation = 'GET'"
    ) == "2"


def test_responses_that_do_not_come_whole(database: Database) -> None:
    """In the background, late, cut off, read in part, cancelled, mounted, of a stub."""
    database.trace(
        SERVER
        + """
from starlette.background import BackgroundTask

mounted = fastapi.FastAPI()
@mounted.get("/items/{item}")
async def item(item: str): return item
app.mount("/mounted", mounted)
router = fastapi.APIRouter(prefix="/tenants/{tenant}")
@router.get("/jobs")
async def jobs(tenant: str): return tenant
app.include_router(router)

@app.get("/background")
async def background():
    async def work():
        await asyncio.sleep(0.3)
        with spanring.span("background.work"): pass
    return fastapi.responses.JSONResponse({}, background=BackgroundTask(work))

@app.get("/cut")
async def cut():
    async def parts():
        yield b"a"
        raise ConnectionResetError("gone")
    return fastapi.responses.StreamingResponse(parts())

@app.get("/endless")
async def endless():
    async def parts():
        while True:
            yield b"a" * 1000
            await asyncio.sleep(0.01)
    return fastapi.responses.StreamingResponse(parts())

@spanring.traced("dependency")
async def dependency():
    yield "depended on"

@app.get("/depends")
async def depends(value=fastapi.Depends(dependency)): return value

async def main(address):
    # Twice: one span a request all the same.
    async with spanring.httpx.trace(spanring.httpx.trace(httpx.AsyncClient())) as client:
        for path in ("/mounted/items/3", "/tenants/t/jobs", "/background"):
            assert (await client.get(address + path)).status_code == 200
        assert (await client.get(address + "/depends")).json() == "depended on"
        try:
            await client.get(address + "/cut")
        except httpx.RemoteProtocolError:
            pass
        async with client.stream("GET", address + "/nowhere") as answer:
            async for part in answer.aiter_raw(1):
                break
        async def reads():
            async with client.stream("GET", address + "/endless") as answer:
                async for part in answer.aiter_bytes(): pass
        task = asyncio.create_task(reads())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.4)

def no_name(scope):
    raise KeyError("no name")
async def named_by_what_raises():
    async def application(scope, receive, send): pass
    await spanring.asgi.Middleware(application, operation=no_name)({"type": "http", "method": "PUT"}, None, None)

with serving() as address:
    asyncio.run(main(address))
asyncio.run(named_by_what_raises())
class Opens(httpx.MockTransport):
    is_open = False
    def __enter__(self): self.is_open = True; return self
    def __exit__(self, *_): self.is_open = False
    async def __aenter__(self): return self.__enter__()
    async def __aexit__(self, *_): self.__exit__()
async def opens():
    async with spanring.httpx.trace(httpx.AsyncClient(transport=Opens(None))) as client:
        assert client._transport._transport.is_open
    assert not client._transport._transport.is_open
asyncio.run(opens())
with spanring.httpx.trace(httpx.Client(transport=Opens(None))) as client:
    assert client._transport._transport.is_open
assert not client._transport._transport.is_open
stub = spanring.httpx.trace(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(404, text="no"))))
kept = stub.get("http://stub/stub")
assert spanring.stats()["open"] == 0
assert spanring.flush()
"""
    )
    spans = database.spans()
    assert {"GET /mounted/items/{item}", "GET /tenants/{tenant}/jobs", "dependency", "PUT"} <= set(spans)
    assert spans["GET /background"]["duration_ms"] < 250
    assert spans["background.work"]["parent"] == "GET /background"
    assert spans["GET /cut"]["error_type"] == "ConnectionResetError"
    clients = database.rows(
        "SELECT metadata ->> 'url.path' AS path, status, error_type FROM trace_spans"
        " WHERE metadata ->> 'span.kind' = 'client' ORDER BY started_at"
    )
    assert [tuple(row.values()) for row in clients][2:] == [
        ("/background", "completed", None),
        ("/depends", "completed", None),
        ("/cut", "failed", "httpx.RemoteProtocolError"),
        ("/nowhere", "failed", "404"),
        ("/endless", "failed", "CancelledError"),
        ("/stub", "failed", "404"),
    ]


def test_wsgi_bodies(database: Database) -> None:
    database.trace(
        """
        import spanring, spanring.wsgi

        def work(name):
            with spanring.span(name): pass

        class Closes(list):
            def close(self):
                work("closing")
                raise OSError("close")

        def application(environment, start_response):
            path = environment["PATH_INFO"]
            start_response("200 OK", [], exc_info=None)
            if path == "/list":
                return [b"a"]
            if path == "/close":
                return Closes([b"a"])
            return generator(path)

        def generator(path):
            work("generating")
            yield b"a"
            if path == "/exit":
                raise SystemExit(1)

        middleware = spanring.wsgi.Middleware(application)
        for path in ("/list", "/close", "/generator", "/exit", "/part", "/caf\u00c3\u00a9"):
            body = middleware({"PATH_INFO": path, "REQUEST_METHOD": "GET"}, lambda *_, exc_info: None)
            assert hasattr(body, "__len__") == (path in ("/list", "/close"))
            try:
                for part in body:
                    assert spanring.current_span() is None
                    if path == "/part":
                        break
                body.close()
            except (SystemExit, OSError):
                body._body = ()
                body.close()  # As servers do.
        assert spanring.stats()["open"] == 0
        assert spanring.flush()
        """
    )
    told = database.rows(
        "SELECT metadata ->> 'url.path' AS path, status, error_type FROM trace_spans"
        " WHERE operation = 'GET' ORDER BY started_at"
    )
    assert [tuple(row.values()) for row in told] == [
        ("/list", "completed", None),
        ("/close", "failed", "OSError"),
        ("/generator", "completed", None),
        ("/exit", "failed", "SystemExit"),
        ("/part", "completed", None),
        ("/caf\u00e9", "completed", None),
    ]
    spans = database.spans()
    assert spans["generating"]["parent"] == spans["closing"]["parent"] == "GET"
