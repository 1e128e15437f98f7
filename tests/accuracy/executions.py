"""Executions of our own runner with a fault each: five causes, variants, noise and retries.

The shape is that of docs/snippets/sample_runner.cc: runner.execute_question > hybrid_router_call >
router.inference_request > modal_call > modal.inference, with phases and failures around that
were recovered from and have to be told from the cause.
"""

import random
import uuid

# The cause, and the services that may be named for it.
CAUSES = {
    "NETWORK_TIMEOUT": ("router -> runner", "runner -> router"),
    "CONNECTION_FAILURE": ("router",),
    "SERVICE_TIMEOUT": ("modal",),
    "MODAL_EXECUTION_FAILURE": ("modal",),
    "PERFORMANCE_DEGRADATION": ("modal",),
}
BEGIN_NS = 1_700_000_000_000_000_000
REFUSED = (
    ("ECONNREFUSED", "connect to modal: Connection refused"),
    ("", "dial tcp 10.2.0.7:443: connect: connection refused"),
    ("ECONNRESET", "read failed"),
    ("", "Connection reset by peer"),
    ("UNAVAILABLE", "No route to host"),
    ("", "getaddrinfo ENOTFOUND modal.internal"),
    ("ConnectionError", "upstream gone"),
)
BROKEN = (
    ("ModalFunctionError", "CUDA out of memory: tried to allocate 2.50 GiB"),
    ("RuntimeError", "expected all tensors to be on the same device"),
    ("", "exit status 137"),
    ("ValueError", "invalid timeout parameter: must be positive"),
)
LATE = (
    ("timeout", "", ""),
    ("timeout", "", "no answer in time"),
    ("failed", "DeadlineExceeded", "rpc error"),
    ("failed", "", "context deadline exceeded"),
    ("failed", "", "request timed out after 300 s"),
)


class Execution:
    """Spans of one execution, in seconds after its begin."""

    def __init__(self, number: int, rng: random.Random):
        self.number, self.rng, self.spans = number, rng, []
        self.trace_id = uuid.UUID(int=number << 64 | 0xABCD)
        self.without_ids = rng.random() < 0.3  # the router did not know the execution's id

    def span(self, parent, service, operation, start, end, status="completed", error=("", "")):
        self.spans.append(
            dict(id=len(self.spans) + 1, parent=parent, service=service, operation=operation,
                 start=start, end=end, status=status, error=error)
        )
        return self.spans[-1]["id"]

    def rows(self) -> list:
        begin = BEGIN_NS + self.number * 70 * 1_000_000_000
        rows = []
        for span in self.spans:
            start = begin + round(span["start"] * 1e9)
            end = None if span["end"] is None else begin + round(span["end"] * 1e9)
            length = None if end is None else end - start
            knows = span["service"] == "runner" or not self.without_ids
            ids = [self.trace_id, uuid.UUID(int=span["id"])]
            ids.append(uuid.UUID(int=span["parent"]) if span["parent"] else None)
            errors = [text or None for text in span["error"]]
            status = "started" if end is None else span["status"]
            times = (stamp(start), stamp(end), length, length and length // 1_000_000)
            names = (span["service"], span["operation"])
            rows.append((*ids, *names, *times, status, *errors, self.number if knows else None))
        return rows


def stamp(ns):
    from corpora import at

    return None if ns is None else at(ns)


def execution(cause, number: int, variant: int, rng: random.Random) -> Execution:
    """One with that cause; None: a normal one."""
    run = Execution(number, rng)
    think = rng.uniform(45, 65)  # how long the model thinks
    status, error, silence, retries = "completed", ("", ""), 0.0, 0
    lead = rng.uniform(0.05, 0.3)
    if cause == "NETWORK_TIMEOUT":
        silence = rng.uniform(70, 180)
    elif cause == "CONNECTION_FAILURE":
        retries, error = rng.randint(0, 4), rng.choice(REFUSED)
    elif cause == "SERVICE_TIMEOUT":
        think = rng.uniform(90, 300)
        status, *error = rng.choice(LATE)
        if variant % 5 == 4:
            status = "started"  # it never ended
    elif cause == "MODAL_EXECUTION_FAILURE":
        think, status, error = rng.uniform(1, 30), "failed", rng.choice(BROKEN)
    elif cause == "PERFORMANCE_DEGRADATION":
        think = rng.uniform(150, 280)
    # The runner's phases before the call; one of them failed and was done again.
    t = lead
    root = run.span(None, "runner", "runner.execute_question", 0, 0)
    for phase in ("load_question", "build_prompt")[: rng.randint(0, 2)]:
        run.span(root, "runner", f"runner.{phase}", t, t + 0.2)
        t += 0.25
    if rng.random() < 0.4:
        run.span(root, "cache", "cache.get", t, t + 0.1, "failed", rng.choice(REFUSED))
        run.span(root, "cache", "cache.get", t + 0.2, t + 0.3)
        t += 0.4
    call = run.span(root, "runner", "runner.hybrid_router_call", t, 0)
    router_start = t + rng.uniform(0.05, 0.2)
    if cause == "NETWORK_TIMEOUT" and variant % 3 == 0:
        router_start += silence  # the request was late, not the answer
    router = run.span(call, "router", "router.inference_request", router_start, 0)
    t = router_start + 0.1
    if rng.random() < 0.3:  # a side job that fails; nobody waits for it
        run.span(router, "metrics", "metrics.push", t, t + 0.3)
        run.span(len(run.spans), "metrics", "metrics.send", t + 0.1, t + 0.2, "failed",
                 ("", "broken pipe"))
    if cause == "CONNECTION_FAILURE":
        for _ in range(retries + 1):
            run.span(router, "router", "router.modal_call", t, t + 0.02, "failed", error)
            t += rng.uniform(0.5, 3)
    else:
        if rng.random() < 0.3:  # done again, with success
            run.span(router, "router", "router.pick_region", t, t + 0.3, "timeout")
            run.span(router, "router", "router.pick_region", t + 0.4, t + 0.5)
            t += 0.6
        modal_call = run.span(router, "router", "router.modal_call", t, 0)
        t += rng.uniform(0.5, 4)
        never = status == "started"
        run.span(modal_call, "modal", "modal.inference", t, None if never else t + think,
                 status, tuple(error))
        t += think + rng.uniform(0.1, 1)
        upstream = status if status in ("completed", "timeout") else "failed"
        finish(run, modal_call, t, upstream)
    failed = status != "completed" or cause == "CONNECTION_FAILURE"
    t += 0.1
    finish(run, router, t, "failed" if failed else "completed")
    if cause == "NETWORK_TIMEOUT" and variant % 3 != 0:
        t += silence
    t += rng.uniform(0.05, 0.2)
    outcome = "failed" if failed else "completed"
    if cause == "NETWORK_TIMEOUT":
        outcome = rng.choice(("timeout", "timeout", "failed", "completed"))
    finish(run, call, t, outcome)
    finish(run, root, t + rng.uniform(0.01, 0.2), outcome)
    return run


def finish(run: Execution, span: int, end: float, status: str) -> None:
    error = {"failed": ("", "upstream failed"), "timeout": ("", "no answer in time")}
    run.spans[span - 1] |= {"end": end, "status": status, "error": error.get(status, ("", ""))}
