"""The hybrid router of ./run e2e: FastAPI, which starts a function for each request and kills it behind its answer."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import socket
import sys

import fastapi
import httpx
import uvicorn

import spanring
import spanring.asgi
import spanring.httpx

app = fastapi.FastAPI()
app.add_middleware(spanring.asgi.Middleware, service="router")
FUNCTION = pathlib.Path(__file__).with_name("function.py")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class BlackHole:
    """A port that answers no connection: its queue of one is full."""

    def __init__(self) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port: int = self.listener.getsockname()[1]
        self.queued = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", self.port))
            self.queued.append(client)


REFUSING, SILENT = closed_port(), BlackHole()


async def call_function(fault: str, execution_id: int) -> str:
    """A container of its own, which is killed as soon as it has answered."""
    with spanring.span("router.modal_call", service="router", kind="client", execution_id=execution_id):
        process = await asyncio.create_subprocess_exec(
            *SHIFTED,
            sys.executable,
            str(FUNCTION),
            fault,
            str(execution_id),
            env=spanring.environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().strip()
        if process.returncode is None:
            # Not send_signal(), which reaps it where the loop would.
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        if not line:
            raise ConnectionError("the container went away")
        if line != "ok":
            raise RuntimeError(line)
        return line


async def call_elsewhere(port: int, method: str = "GET") -> None:
    # Longer for who answers: all of it runs on few processors.
    client = httpx.AsyncClient(timeout=10.0 if method == "POST" else 1.0)
    async with spanring.httpx.trace(client, service="router") as traced:
        (await traced.request(method, f"http://127.0.0.1:{port}/")).raise_for_status()


@app.post("/infer/{fault}")
async def infer(fault: str, execution_id: int) -> str:
    spanring.set_execution_context(execution_id=execution_id)
    try:
        if fault == "refused":
            await call_elsewhere(REFUSING)
        elif fault == "blackhole":
            await call_elsewhere(SILENT.port)
        answer = await call_function(fault, execution_id)
        await call_elsewhere(SCORER, "POST")
        return answer
    except (httpx.HTTPError, ConnectionError, RuntimeError) as error:
        raise fastapi.HTTPException(502, str(error)) from error


# What sets the function's clock wrong.
SHIFTED = os.environ.get("E2E_FUNCTION_PREFIX", "").split()
SCORER = int(os.environ["E2E_SCORER_PORT"])

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    asyncio.run(server.serve([listener]))
    sys.exit(0 if spanring.flush(30) else 1)
