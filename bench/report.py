#!/usr/bin/env python3
"""Reads what hotpath_bench wrote: Google Benchmark's JSON, with repetitions.

  report.py ratios JSON          every case beside the floor, the goals, and the latency ladder
  report.py compare OLD NEW      what moved between two files, each in floors of its own run
  report.py keep JSON RESULT HOT_CALLS
                                 the medians of the repetitions, without names of machine and paths, and
                                 what instructions.py and no_lock.py say of the program hot_calls
  report.py ran JSON PROGRAM     fails unless every case of PROGRAM is there, and none had an error
  report.py readme [--check]     writes the table in README.md from the newest kept result

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


def newest_result(kind):
    kept = sorted((ROOT / "bench/results").glob(f"{kind}-*.json"))
    return kept[-1] if kept else sys.exit(f"bench/results has no {kind}-*.json")


def keep_result(kind, path):
    """Into bench/results, named by day, processor and compiler; returns its name."""
    text = pathlib.Path(path).read_text()
    context = json.loads(text)["context"]
    cpu = re.sub(r"[^a-z0-9]+", "-", context["cpu_model"].lower()).strip("-").split("-")[-1]
    compiler = re.match(r"(g\+\+|clang) (\d+)", context["compiler"])
    name = {"g++": "gcc"}.get(compiler[1], compiler[1]) + compiler[2]
    result = ROOT / f"bench/results/{kind}-{context['date']}-{cpu}-{name}.json"
    result.write_text(text)
    return result.relative_to(ROOT)


def main_of(usage, show, docs, kind):
    """Of rate_report.py and sql_report.py."""
    match sys.argv[1:]:
        case ["keep", path]:
            print(f"kept as {keep_result(kind, path)}; docs/performance.md has its tables")
            docs(check=False)
        case ["docs"]:
            docs(check=False)
        case ["docs", "--check"]:
            docs(check=True)
        case [path]:
            show(path, strict=False)
        case [path, "--strict"]:
            show(path, strict=True)
        case _:
            sys.exit(usage)


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
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
