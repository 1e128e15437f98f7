"""The Modal function of ./run e2e: answers one call with a line, or fails as it is told."""

from __future__ import annotations

import os
import select
import signal
import sys

import spanring
import spanring.serverless


def wait(seconds: float) -> None:
    """Under a clock that libfaketime sets, time.sleep fails."""
    select.poll().poll(seconds * 1000)


@spanring.serverless.function("modal.inference", service="modal", deadline=10.0)
def inference(fault: str, execution_id: int) -> str:
    spanring.set_execution_context("job-e2e", execution_id, "llama-3-70b", "eu-west")
    with spanring.span("modal.generate", service="modal"):
        wait(0.02)
        if fault == "slow":
            wait(1.5)
            raise TimeoutError("inference took longer than 1.5 s")
        if fault == "exception":
            raise ValueError("CUDA out of memory")
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
    return "ok"


fault, execution_id = sys.argv[1], int(sys.argv[2])
context = spanring.extract_environment()
with spanring.use_context(context):
    try:
        answer = inference(fault, execution_id, traceparent=context.traceparent if context else None)
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
print(answer, flush=True)
wait(60)  # The container idles until it is killed.
