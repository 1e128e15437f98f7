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
