"""Contexts that travel: headers, environments, sampling."""

from __future__ import annotations

import spanring
from conftest import Database


def test_context_travels_by_headers_and_environment(database: Database) -> None:
    printed = database.trace(
        """
        import subprocess, sys, spanring
        with spanring.span("parent") as span:
            headers = spanring.inject({"accept": "*/*"})
            assert set(headers) == {"accept", "traceparent"}
            child = "import spanring\\nwith spanring.use_context(spanring.extract_environment()), spanring.span('child'): pass"
            subprocess.run([sys.executable, "-c", child], env=spanring.environment(), check=True)
        remote = spanring.extract([(b"TraceParent", headers["traceparent"].encode()), (b"tracestate", b"v=1"),
                                   (b"baggage", b"k=v")])
        with spanring.span("server", parent=remote):
            with spanring.span("client"):
                passed_on = spanring.inject({})
        assert passed_on["tracestate"] == "v=1" and passed_on["baggage"] == "k=v"
        with spanring.span("root", parent=None), spanring.use_context(None):
            assert spanring.current_span() is None and spanring.current_context() is None
        lists = spanring.extract([("traceparent", headers["traceparent"]), ("tracestate", "a=1"), ("tracestate", "b=2"),
                                  (7, None)])
        assert lists.carried == (("tracestate", "a=1,b=2"),)
        import os
        os.environ["TRACESTATE"] = "of another trace"
        assert "TRACESTATE" in spanring.environment() and "TRACESTATE" not in spanring.environment(span)
        assert spanring.environment(lists)["TRACESTATE"] == "a=1,b=2"
        for wrong in ("", "00-0-0-0", "ff-" + headers["traceparent"][3:], "\\u00e9"):
            assert spanring.extract({"traceparent": wrong}) is None
        assert spanring.flush()
        """
    )
    assert printed == ""
    spans = database.spans()
    assert spans["child"]["parent"] == "parent"
    assert spans["server"]["parent"] == "parent" and spans["client"]["parent"] == "server"
    assert spans["root"]["parent"] is None
    assert len({spans[name]["trace_id"] for name in ("parent", "child", "server", "client")}) == 1


def test_a_traces_sampling_goes_with_it(database: Database) -> None:
    database.trace(
        """
        import subprocess, sys, spanring
        flags = {}
        for name in ("00", "01"):
            parent = spanring.extract({"traceparent": f"00-{'ab' * 16}-00f067aa0ba902b7-{name}"})
            with spanring.span(f"server {name}", parent=parent):
                with spanring.span(f"client {name}"):
                    flags[name] = spanring.inject({})["traceparent"][-2:]
                    child = f"import spanring\\nwith spanring.use_context(spanring.extract_environment()), spanring.span('child {name}'): pass"
                    subprocess.run([sys.executable, "-c", child], env=spanring.environment(), check=True)
        assert flags == {"00": "00", "01": "01"}, flags
        with spanring.span("root") as root:
            assert not root.context.sampled
        try:
            with spanring.span("fails"):
                raise ValueError
        except ValueError:
            pass
        assert spanring.flush()
        stats = spanring.stats()
        assert stats["sampled_out"] == 3 and stats["persisted"] == 3, stats
        """,
        SPANRING_SAMPLE_RATIO="0",
    )
    assert set(database.spans()) == {"server 01", "client 01", "child 01", "fails"}
    assert database.run("SELECT sum(spans) FROM trace_rollups WHERE hours = 1") == "8"
    assert database.spans()["fails"]["metadata"] == {"spanring.sampled": False}


def test_what_could_break_a_header_is_not_passed_on() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def carried(name: str, value: str) -> str | None:
        context = spanring.extract({"traceparent": traceparent, name: value})
        assert context is not None
        headers = spanring.inject({}, context)
        assert headers.pop("traceparent") == traceparent
        return headers.get(name)

    assert carried("tracestate", " a=1\t, ,,b@x= 2 ,") == "a=1,b@x= 2"
    many = [f"k{i}=v" for i in range(33)]
    assert carried("tracestate", ",".join(many[:32])) == ",".join(many[:32])
    for wrong in (",".join(many), "a", "a=", "A=1", "a=1=2", "a=1\r\nx: y", "a=1\n", "a=\x7f", "a=\u00e9", "k" * 257 + "=v"):
        assert carried("tracestate", wrong) is None
    assert carried("baggage", "k = v;p\t,w=%20") == "k = v;p ,w=%20"
    for wrong in ("k=v\r\nx: y", "k=v\n", "k=\0", "k=\u00e9"):
        assert carried("baggage", wrong) is None
    whole = "k=" + "v" * 8190
    assert carried("baggage", whole) == whole
    assert carried("baggage", whole + ",w=x") == whole
    assert carried("baggage", "a=1 , " + whole) == "a=1"
    assert carried("baggage", whole + "v") is None
