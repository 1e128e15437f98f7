#!/usr/bin/env python3
"""Reads what hotpath_bench wrote: Google Benchmark's JSON, with repetitions.

  report.py ratios JSON          every case beside the floor, the goals, and the latency ladder
  report.py compare OLD NEW      what moved between two files, each in floors of its own run
  report.py keep JSON RESULT HOT_CALLS
                                 the medians of the repetitions, without names of machine and paths, and
                                 what instructions.py and no_lock.py say of the program hot_calls
  report.py ran JSON PROGRAM     fails unless every case of PROGRAM is there, and none had an error
  report.py readme [--check]     writes the table in README.md from the newest kept result
  report.py rate JSON [--strict] what rate_bench wrote: the table, and the goals; --strict fails on a miss
  report.py keep_rate JSON       keeps it in bench/results and writes the table in docs/performance.md
  report.py docs [--check]       writes that table from the newest kept result

All figures are medians: of the batches within a repetition, then of the repetitions. Ratios are to
BM_Floor_TwoTimestampsAndRecord of the same run.
"""
import json
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOOR = "BM_Floor_TwoTimestampsAndRecord"
PERCENTILES = ["p50", "p90", "p99", "p99.9", "p99.99"]

# Case, what it is, and the most it may be: in floors, or what `of` says.
GOALS = [
    ("BM_Span_StartComplete", "start + complete", 1.25),
    ("BM_Span_Phase", "phase of a loop (`Next`)", 0.75),
    ("BM_Span_ContextAndThreeAttributes", "the same with execution context and 3 attributes", 3.0),
]
# Of one repetition of a case.
OPERATIONS = 2048 * 200
# Percentiles above the floor's own, in ns.
LATENCY_GOALS = {"p99": 20, "p99.9": 50}


def add_spread(runs):
    """Into the medians: how far the repetitions went, which is a case's own noise."""
    for run in runs:
        single = [other for other in runs if other["run_name"] == run["run_name"]
                  and other.get("run_type") == "iteration"]
        if run.get("aggregate_name") == "median" and single:
            run["repetitions"] = len(single)
            if "p99.99" in run:
                run["p99.99_most"] = max(other["p99.99"] for other in single)


class Results:
    def __init__(self, path):
        try:
            data = json.loads(pathlib.Path(path).read_text())
        except (OSError, ValueError) as error:
            sys.exit(f"{path}: {error}; ./run bench writes build/bench/hotpath.json")
        self.context = data["context"]
        self.cases = {}
        for run in data["benchmarks"]:
            if run.get("aggregate_name", "median") == "median" and "error_occurred" not in run:
                name = run.get("run_name", run["name"])
                name = "/".join(part for part in name.split("/")
                                if not part.startswith(("iterations:", "repeats:"))
                                and part not in ("manual_time", "real_time"))
                self.cases[name] = run
        add_spread(data["benchmarks"])

    def ns(self, name):
        case = self.cases.get(name)
        return None if case is None else case.get("median_ns", case["real_time"])

    @property
    def floor(self):
        return self.ns(FLOOR)


def machine(context):
    return (f"{context.get('cpu_model', '?')}, {context['num_cpus']} CPUs; {context.get('compiler', '?')} "
            f"{context.get('flags', '')}; {context.get('commit', context.get('date', ''))[:25]}")


def bar(value, per_character, width=46):
    return "█" * max(1, min(width, round(value / per_character)))


def ratios(path):
    results = Results(path)
    floor = results.floor
    if not floor:
        sys.exit(f"{path}: {FLOOR} is missing")
    print(machine(results.context))
    print(f"{'case':46}{'ns':>9}{'floors':>9}")
    for name, case in results.cases.items():
        if name.startswith(("BM_Latency_", "BM_Ring_Burst")):
            continue
        ns = results.ns(name)
        drops = case.get("drops", 0)
        note = f"  {drops:.0f} dropped" if drops else ""
        if case.get("traced") == 0:
            note = "  no session: a disabled tracepoint"
        print(f"{name.removeprefix('BM_'):46}{ns:9.2f}{ns / floor:9.2f}{note}")
    print("\nBurst that a ring absorbs, in plain spans without a pause:")
    for name, case in results.cases.items():
        if name.startswith("BM_Ring_Burst"):
            print(f"{name.removeprefix('BM_'):46}{case['absorbed']:9.0f}")
    print("\nSingle operations, ns; each figure includes one reading of the clock (Timer)")
    ladder(results)
    print()
    ok = goals(results)
    sys.exit(0 if ok else 1)


def ladder(results):
    latency = {name.removeprefix("BM_Latency_"): case for name, case in results.cases.items()
               if name.startswith("BM_Latency_")}
    if not latency:
        return
    step = latency.get("Timer", {}).get("step_ns")
    if step:
        print(f"the clock goes in steps of {step:.1f} ns")
    most = max(min(case["p99.9"], 400) for case in latency.values())
    for percentile in PERCENTILES:
        for name, case in latency.items():
            print(f"{percentile if name == next(iter(latency)) else '':>7} {name:30}"
                  f"{case[percentile]:9.0f} {bar(case[percentile], most / 46)}")


def goals(results):
    floor, ok = results.floor, True

    def say(what, value, limit, unit, good=None):
        nonlocal ok
        good = value <= limit if good is None else good
        ok = ok and good
        print(f"{'reached' if good else 'MISSED ':8} {what:58}{value:8.2f} {unit} (at most {limit})")

    # 64 threads at full speed offer more than a drainer takes, and what they drop stands in the table.
    dropping = [name for name, case in results.cases.items()
                if not name.startswith("BM_Span_Threads/") and case.get("drops", 0) > OPERATIONS / 1000 and name.startswith("BM_")]
    say("cases that dropped one in 1,000 or more: " + ", ".join(dropping), len(dropping), 0, "")
    for case, what, limit in GOALS:
        say(what, results.ns(case) / floor, limit, "floors")
    say("the two producers, time apart", 1 - results.cases["BM_Span_TwoProducers"]["overlap"], 0.1, "of a batch")
    one, two = results.ns("BM_Span_StartComplete"), results.ns("BM_Span_TwoProducers")
    say("two producers, each, to one", two / one, 1.15, "x")
    floors = results.ns("BM_Floor_TwoProducers")
    if floors:
        print(f"{'':8} {'(two floors, each, to one floor)':58}{floors / floor:8.2f} x")
    say("64 threads, each, to one", results.ns("BM_Span_Threads/threads:64") / one, 2, "x")
    say("a drainer at work, to one at rest", results.ns("BM_Span_WhileDrained") / one, 1.15, "x")
    say("off, beyond an empty loop", results.ns("BM_Span_RuntimeOff") - results.ns("BM_Loop_Empty"), 1,
        "ns")
    for items in (0, 1):
        rate = results.cases[f"BM_Drain_Spans/items:{items}"]["spans_per_s"] / 1e6
        what = "drainer, million spans/s, " + ("context + 3 attributes" if items else "no items")
        good = rate >= 5
        ok = ok and good
        print(f"{'reached' if good else 'MISSED ':8} {what:58}{rate:8.2f} (at least 5)")
    for percentile, limit in LATENCY_GOALS.items():
        above = results.cases["BM_Latency_StartComplete"][percentile] - results.cases["BM_Latency_Floor"][percentile]
        say(f"start + complete, {percentile} above the floor's", above, limit, "ns")
    span = results.cases["BM_Latency_StartComplete"]["p99.99"]
    # The extreme tail is the scheduler's and the hypervisor's: the floor's own repetitions say how far.
    floor_case = results.cases["BM_Latency_Floor"]
    most = round(floor_case.get("p99.99_most", floor_case["p99.99"]))
    what = f"start + complete, p99.99; floor: {floor_case['p99.99']:.0f} at the median, at worst"
    say(what, span, most, "ns")
    return ok


def compare(old_path, new_path):
    old, new = Results(old_path), Results(new_path)
    print(f"old: {machine(old.context)}\nnew: {machine(new.context)}")
    print(f"{'case':46}{'old':>9}{'new':>9}{'floors':>16}{'moved':>8}")
    for name in old.cases.keys() | new.cases.keys():
        if name not in old.cases or name not in new.cases:
            print(f"{name.removeprefix('BM_'):46}  only in {'new' if name in new.cases else 'old'}")
    for name in new.cases:
        if name in old.cases:
            a, b = old.ns(name) / old.floor, new.ns(name) / new.floor
            moved = b / a - 1
            mark = "  <--" if abs(moved) > 0.1 else ""
            print(f"{name.removeprefix('BM_'):46}{old.ns(name):9.2f}{new.ns(name):9.2f}{a:8.2f}{b:8.2f}"
                  f"{moved:+8.0%}{mark}")


def keep(path, result, hot_calls):
    data = json.loads(pathlib.Path(path).read_text())
    context = {key: value for key, value in data["context"].items()
               if key not in ("host_name", "executable", "load_avg", "library_build_type")}
    add_spread(data["benchmarks"])
    kept = [run for run in data["benchmarks"] if run.get("aggregate_name") == "median"]
    counts = []
    for check in ("instructions.py", "no_lock.py"):
        counts += subprocess.run([ROOT / "tests/runtime" / check, hot_calls], capture_output=True, text=True,
                                 check=True).stdout.splitlines()
    pathlib.Path(result).write_text(
        json.dumps({"context": context, "counts": counts, "benchmarks": kept}, indent=1) + "\n")


def ran(path, program):
    runs = json.loads(pathlib.Path(path).read_text())["benchmarks"]
    listed = subprocess.run([program, "--benchmark_list_tests=true"], capture_output=True, text=True,
                            check=True).stdout.split()
    missing = set(listed) - {run["run_name"] for run in runs}
    errors = [f"{run['name']}: {run['error_message']}" for run in runs if run.get("error_occurred")]
    if missing or errors:
        sys.exit("\n".join([*errors, *(f"{name} did not run" for name in sorted(missing))]))


def newest():
    kept = sorted((ROOT / "bench/results").glob("hotpath-*.json"))
    if not kept:
        sys.exit("bench/results has no hotpath-*.json")
    return kept[-1]


def table():
    path = newest()
    results = Results(path)
    floor = results.floor
    rows = [("two timestamps and a record: the floor F", FLOOR),
            ("**span: start + complete**", "BM_Span_StartComplete"),
            ("**phase of a loop: `Next`**", "BM_Span_Phase"),
            ("**span, execution context, 3 attributes**", "BM_Span_ContextAndThreeAttributes"),
            ("**span while tracing is off**", "BM_Span_RuntimeOff"),
            ("moodycamel queue, producer token", "BM_Baseline_MoodycamelToken"),
            ("LTTng-UST, begin + end, traced", "BM_Baseline_LttngUst"),
            ("spdlog, one asynchronous line", "BM_Baseline_SpdlogAsync")]
    floor_p = results.cases["BM_Latency_Floor"]
    latency = {FLOOR: floor_p, "BM_Span_StartComplete": results.cases["BM_Latency_StartComplete"],
               "BM_Span_Phase": results.cases["BM_Latency_Phase"],
               "BM_Span_ContextAndThreeAttributes": results.cases["BM_Latency_ContextAndThreeAttributes"]}
    lines = ["| | ns | F | p99 | p99.9 |", "|---|---|---|---|---|"]
    for what, name in rows:
        ns = results.ns(name)
        if ns is None or results.cases[name].get("traced", 1) == 0:
            continue
        one = latency.get(name)
        tail = f"{one['p99']:.0f} | {one['p99.9']:.0f}" if one else " | "
        lines.append(f"| {what} | {ns:.1f} | {ns / floor:.2f} | {tail} |")
    lines.append("")
    lines.append(f"Medians of one run of `./run bench hotpath`: {machine(results.context)} "
                 f"([all of it](bench/results/{path.name}), [how and why](docs/performance.md)).")
    return "\n".join(lines)


def replace_between(path, begin, end, table, check, command):
    text = path.read_text()
    before, rest = text.split(begin)
    new = before + begin + table + end + rest.split(end)[1]
    if check and new != text:
        sys.exit(f"{path.relative_to(ROOT)}: the table is not that of the newest result; run {command}")
    if not check:
        path.write_text(new)


def readme(check):
    replace_between(ROOT / "README.md", "<!-- figures: bench/report.py readme -->\n", "\n<!-- end of figures -->",
                    table(), check, "bench/report.py readme")


RATE_CASES = {
    "raw/1000": "raw `COPY`, 1,000 rows a transaction",
    "raw/10000": "raw `COPY`, 10,000",
    "raw/50000": "raw `COPY`, 50,000",
    "whole/10000": "**whole way**",
    "whole/memory": "whole way, rings and journal in memory",
    "whole/1_shipper": "whole way, `SPANRING_SHIPPERS=1`",
    "whole/1000": "whole way, `SPANRING_BATCH_ROWS=1000`",
    "whole/50000": "whole way, `SPANRING_BATCH_ROWS=50000`",
    "earlier/trace_spans": "INSERT and UPDATE a span, the same table",
    "earlier/earlier_table": "INSERT and UPDATE a span, a table of seven B-trees",
}
RATE_GOAL = 0.9
CLIENT_US_GOAL = 1.0


class Rates:
    """Medians of the repetitions that dropped nothing."""

    def __init__(self, path):
        try:
            data = json.loads(pathlib.Path(path).read_text())
        except (OSError, ValueError) as error:
            sys.exit(f"{path}: {error}; ./run bench rate writes build/bench/rate.json")
        self.context = data["context"]
        self.cases = {case["name"]: case for case in data["cases"]}

    def valid(self, name):
        return [r for r in self.cases.get(name, {}).get("repetitions", []) if "void" not in r]

    def void(self, name):
        return len(self.cases[name]["repetitions"]) - len(self.valid(name))

    def rate(self, name):
        rates = [r["rows_per_s"] for r in self.valid(name)]
        return statistics.median(rates) if rates else None

    def spread(self, name):
        rates = [r["rows_per_s"] for r in self.valid(name)]
        return min(rates), max(rates)

    def us(self, name, what):
        return statistics.median(r[what] for r in self.valid(name)) / self.cases[name]["rows"] * 1e6

    def thread_us(self, name, thread):
        return statistics.median(r["cpu_s"][thread] for r in self.valid(name)) / self.cases[name]["rows"] * 1e6

    @property
    def others(self):
        return statistics.median(r["others_cpus"] for name in self.cases for r in self.cases[name]["repetitions"])

    def settings(self):
        c, server = self.context, self.context["server"]
        what = ", ".join(f"{key} {server[key]}" for key in server if key != "server_version")
        return (f"PostgreSQL {server['server_version'].split()[0]}: {what}. "
                f"{max(len(case['repetitions']) for case in self.cases.values())} repetitions of "
                f"{max(case['rows'] for case in self.cases.values()):,} rows of {c['row_bytes']:.0f} bytes")


def rate_table(results):
    raw = results.rate("raw/10000")
    lines = ["| | rows/s | least - most | of raw, 10,000 | client µs a row | server µs a row | others |",
             "|---|---|---|---|---|---|---|"]
    for name, what in RATE_CASES.items():
        if name not in results.cases:
            continue
        rate = results.rate(name)
        if rate is None:
            lines.append(f"| {what} | void: {results.void(name)} of {results.void(name)} | | | | | |")
            continue
        least, most = results.spread(name)
        note = f" ({results.void(name)} void)" if results.void(name) else ""
        share = f"{rate / raw:.2f}" if raw and rate / raw >= 0.1 else f"{rate / raw:.4f}" if raw else ""
        lines.append(f"| {what}{note} | {rate:,.0f} | {least:,.0f} - {most:,.0f} | {share} "
                     f"| {results.us(name, 'client_cpu_s'):.2f} | {results.us(name, 'server_cpu_s'):.2f} "
                     f"| {statistics.median(r['others_cpus'] for r in results.valid(name)):.2f} |")
    return lines


def rate_goals(results):
    """(reached, text) for each."""
    raw, whole = results.rate("raw/10000"), results.rate("whole/10000")
    if not whole:
        return
    if raw:
        yield whole / raw >= RATE_GOAL, f"whole way / raw COPY of 10,000 rows: {whole / raw:.2f} (at least {RATE_GOAL})"
    us = results.us("whole/10000", "client_cpu_s")
    parts = ", ".join(f"{what} {results.thread_us('whole/10000', thread):.2f}" for what, thread in
                      (("recording", "recording"), ("drainer", "spanring-drain"), ("shipper", "spanring-ship")))
    yield us <= CLIENT_US_GOAL, f"client's CPU a span: {us:.2f} µs (at most {CLIENT_US_GOAL:.0f}): {parts}"
    for name in ("earlier/trace_spans", "earlier/earlier_table"):
        earlier = results.rate(name)
        if earlier:
            yield True, f"whole way / {RATE_CASES[name]}: {whole / earlier:,.0f}"


def rate(path, strict):
    results = Rates(path)
    print(f"{machine(results.context)}\n{results.settings()}")
    print(f"other work on the machine: {results.others:.2f} of {results.context['num_cpus']} processors\n")
    rows = [[cell.strip() for cell in re.sub(r"[`*]", "", line).strip("|").split("|")] for line in rate_table(results)]
    rows.pop(1)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{row[i]:{'<' if i == 0 else '>'}{widths[i]}}" for i in range(len(row))))
    print()
    reached = True
    for good, text in rate_goals(results):
        reached = reached and good
        print(f"{'reached' if good else 'MISSED ':8} {text}")
    for name in results.cases:
        if results.void(name):
            why = next(r["void"] for r in results.cases[name]["repetitions"] if "void" in r)
            print(f"void     {name}: {results.void(name)} repetitions, as: {why}")
            reached = False
    sys.exit(1 if strict and not reached else 0)


def newest_rate():
    kept = sorted((ROOT / "bench/results").glob("rate-*.json"))
    return kept[-1] if kept else sys.exit("bench/results has no rate-*.json")


def docs(check):
    path = newest_rate()
    results = Rates(path)
    lines = rate_table(results)
    lines.append("")
    for good, text in rate_goals(results):
        lines.append(f"- {'Reached' if good else 'MISSED'}: {text}." if "at " in text else f"- {text}.")
    lines.append("")
    lines.append(f"Medians of one run of `./run bench rate`: {machine(results.context)} "
                 f"([all of it](../bench/results/{path.name})). {results.settings()}. Other work took "
                 f"{results.others:.2f} of {results.context['num_cpus']} processors meanwhile.")
    replace_between(ROOT / "docs/performance.md", "<!-- rates: bench/report.py docs -->\n",
                    "\n<!-- end of rates -->", "\n".join(lines), check, "bench/report.py docs")


def keep_rate(path):
    text = pathlib.Path(path).read_text()
    context = json.loads(text)["context"]
    cpu = re.sub(r"[^a-z0-9]+", "-", context["cpu_model"].lower()).strip("-").split("-")[-1]
    compiler = re.match(r"(g\+\+|clang) (\d+)", context["compiler"])
    name = {"g++": "gcc"}.get(compiler[1], compiler[1]) + compiler[2]
    result = ROOT / f"bench/results/rate-{context['date']}-{cpu}-{name}.json"
    result.write_text(text)
    docs(check=False)
    print(f"kept as {result.relative_to(ROOT)}; docs/performance.md has its table")


def main(arguments):
    match arguments:
        case ["ratios", path]:
            ratios(path)
        case ["compare", old, new]:
            compare(old, new)
        case ["keep", path, result, hot_calls]:
            keep(path, result, hot_calls)
        case ["ran", path, program]:
            ran(path, program)
        case ["readme"]:
            readme(check=False)
        case ["readme", "--check"]:
            readme(check=True)
        case ["rate", path]:
            rate(path, strict=False)
        case ["rate", path, "--strict"]:
            rate(path, strict=True)
        case ["keep_rate", path]:
            keep_rate(path)
        case ["docs"]:
            docs(check=False)
        case ["docs", "--check"]:
            docs(check=True)
        case _:
            sys.exit(__doc__)


main(sys.argv[1:])
