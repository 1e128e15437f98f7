#!/usr/bin/env python3
"""Reads what sql_bench wrote.

  sql_report.py JSON [--strict]  the tables and the goals; --strict fails on a miss
  sql_report.py keep JSON        keeps it in bench/results and writes the tables in docs/performance.md
  sql_report.py docs [--check]   writes those tables from the newest kept result
"""
import json
import pathlib
import sys

sys.dont_write_bytecode = True
import report  # noqa: E402

# Question: what it is, at most so many ms at the median, and as the first one of a connection.
QUESTIONS = {
    "tree": ("waterfall of an execution: `trace_tree(id)`", 1, 10),
    "tree of a trace": ("waterfall of a trace: `trace_tree(NULL, trace_id)`", 1, 10),
    "diagnose": ("`diagnose_execution_trace(id)`", 5, 20),
    "root cause": ("`identify_root_cause(id)`, of failed ones", 10, 30),
    "similar": ("`find_similar_traces(id)`", 50, None),
    "compare": ("`compare_executions(id, id - 1)`", None, None),
    "newest executions": ("newest 50 of `trace_executions`", 5, None),
    "failed executions lately": ("failed ones of the last hour, of `trace_executions`", 5, None),
    "health": ("`trace_spans_health`", 10, None),
    "failed spans lately": ("plain SQL: failed spans of the last hour, of `trace_waterfall`", None, None),
    "waterfall": ("plain SQL: `trace_waterfall` by execution id", None, None),
    "waterfall by trace": ("plain SQL: `trace_waterfall` by trace id", None, None),
}
# Of the larger history to the smaller one.
GROWTH_OF = ["tree", "tree of a trace", "diagnose", "root cause"]
GROWTH_GOAL = 1.5
RETENTION_GOAL_MS = 200
BEGIN, END = "<!-- questions: bench/sql_report.py docs -->\n", "\n<!-- end of questions -->"


class Results:
    def __init__(self, path):
        try:
            data = json.loads(pathlib.Path(path).read_text())
        except (OSError, ValueError) as error:
            sys.exit(f"{path}: {error}; ./run bench sql writes build/bench/sql.json")
        self.context = data["context"]
        self.sizes = sorted(data["sizes"], key=lambda size: size["spans"])
        self.last = self.sizes[-1]

    def question(self, size, name):
        return next(question for question in size["questions"] if question["name"] == name)

    def growth(self, name):
        return self.question(self.last, name)["ms"]["p50"] / self.question(self.sizes[0], name)["ms"]["p50"]


def spans(size):
    return f"{size['spans'] / 1e6:g} million"


def ms(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def tables(results):
    heads = [f"{spans(size)} spans" for size in results.sizes]
    yield "| ms, at the median | " + " | ".join(heads) + " | p99 | at most | first of a connection | at most |"
    yield "|---" * (len(heads) + 5) + "|"
    for name, (what, goal, first_goal) in QUESTIONS.items():
        asked = [results.question(size, name) for size in results.sizes]
        yield "| " + " | ".join(
            [what] + [ms(question["ms"]["p50"]) for question in asked]
            + [ms(asked[-1]["ms"]["p99"]), str(goal or ""), ms(asked[-1]["first_ms"]["p50"]),
               str(first_goal or "")]) + " |"
    yield ""
    yield "| bytes a span | heap | indexes |"
    yield "|---|---|---|"
    what = {"trace_spans": "`trace_spans`", "trace_execution_summaries": "`trace_execution_summaries`",
            "trace_rollups": "`trace_rollups`", "earlier": "the earlier table of seven B-trees"}
    for name, title in what.items():
        size = results.last["bytes_per_span"][name]
        yield f"| {title} | {size['heap']:.0f} | {size['indexes']:.0f} |"


def goals(results):
    """(reached, text) for each."""
    for name, (what, goal, first_goal) in QUESTIONS.items():
        question = results.question(results.last, name)
        if goal:
            took = question["ms"]["p50"]
            yield took <= goal, f"{what}: {ms(took)} ms (at most {goal})"
        if first_goal:
            took = question["first_ms"]["p50"]
            yield took <= first_goal, f"{what}, first of a connection: {ms(took)} ms (at most {first_goal})"
    if len(results.sizes) > 1:
        for name in GROWTH_OF:
            growth = results.growth(name)
            yield growth < GROWTH_GOAL, (f"{QUESTIONS[name][0]}, {spans(results.last)} / {spans(results.sizes[0])}: "
                                         f"{growth:.2f} (less than {GROWTH_GOAL})")
    took = results.last["retention"]["ms"]
    yield took <= RETENTION_GOAL_MS, f"removing a day: {ms(took)} ms (at most {RETENTION_GOAL_MS})"


def facts(results):
    last = results.last
    retention, ingest, load = last["retention"], last["ingest"], last["load"]
    yield (f"Removing a day of {retention['spans']:,.0f} spans: {ms(retention['ms'])} ms; DELETE and VACUUM of as many "
           f"in the earlier table: {ms(retention['earlier_ms'])} ms.")
    yield (f"Ingest, {ingest['rows']:,} spans by a traced program: {ingest['alone_per_s']:,.0f} spans/s alone, "
           f"{ingest['beside_questions_per_s']:,.0f} beside a connection that asks without a pause; its "
           f"{ingest['questions']:,} questions by id took {ms(ingest['questions_ms']['p50'])} ms at the median, "
           f"{ms(ingest['questions_ms']['p99'])} at the 99th percentile.")
    yield (f"INSERT of a day from SELECT: {load['trace_spans_per_s']:,.0f} rows/s, into the earlier table "
           f"{load['earlier_per_s']:,.0f}: {load['trace_spans_per_s'] / load['earlier_per_s']:.1f} times.")
    serve = last["serve"]
    yield (f"`spanring serve`, {serve['connections']} clients at once for {serve['seconds']} s (an execution's trace, its "
           f"diagnosis, its root cause, the newest 50, {serve['bytes_per_request'] / 1000:.1f} kB each): "
           f"{serve['requests_per_s']:,.0f} requests/s, {serve['failures']:,} failed, {ms(serve['ms']['p50'])} ms at the "
           f"median, {ms(serve['ms']['p99'])} at the 99th percentile.")
    yield f"Looking through a day for rows of others (`trace_fold_day`): {ms(last['upkeep']['ms'])} ms."


def settings(results):
    context, server = results.context, results.context["server"]
    what = ", ".join(f"{key} {server[key]}" for key in server if key != "server_version")
    return (f"{report.machine(context)}. PostgreSQL {server['server_version'].split()[0]}: {what}. "
            f"{context['keys']:,} random keys a question, {context['connections']} new connections; "
            f"{results.last['days']} days")


def show(path, strict):
    results = Results(path)
    print(settings(results) + "\n")
    for line in tables(results):
        print(line.replace("`", ""))
    print()
    for line in facts(results):
        print(line)
    print()
    all_reached = True
    for reached, text in goals(results):
        all_reached = all_reached and reached
        print(f"{'reached' if reached else 'MISSED ':8} {text.replace('`', '')}")
    sys.exit(1 if strict and not all_reached else 0)


def docs(check):
    path = report.newest_result("sql")
    results = Results(path)
    lines = list(tables(results)) + [""] + [f"- {fact}" for fact in facts(results)]
    missed = [text for reached, text in goals(results) if not reached]
    lines += [f"- Missed: {text}." for text in missed] or ["- All goals were reached."]
    if len(results.sizes) > 1:
        lines.append("- " + "; ".join(f"{QUESTIONS[name][0]} grew {results.growth(name):.2f} times" for name in GROWTH_OF)
                     + f" from {spans(results.sizes[0])} to {spans(results.last)} (less than {GROWTH_GOAL}).")
    lines += ["", f"One run of `./run bench sql`: {settings(results)} "
                  f"([all of it](../bench/results/{path.name}))."]
    report.replace_between(report.ROOT / "docs/performance.md", BEGIN, END, "\n".join(lines), check,
                           "bench/sql_report.py docs")


if __name__ == "__main__":
    report.main_of(__doc__, show, docs, "sql")
