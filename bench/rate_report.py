#!/usr/bin/env python3
"""Reads what rate_bench wrote.

  rate_report.py JSON [--strict] the table and the goals; --strict fails on a miss
  rate_report.py keep JSON       keeps it in bench/results and writes the table in docs/performance.md
  rate_report.py docs [--check]  writes that table from the newest kept result
"""
import json
import pathlib
import re
import statistics
import sys

sys.dont_write_bytecode = True
import report  # noqa: E402

BEGIN, END = "<!-- rates: bench/rate_report.py docs -->\n", "\n<!-- end of rates -->"

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


def show(path, strict):
    results = Rates(path)
    print(f"{report.machine(results.context)}\n{results.settings()}")
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


def docs(check):
    path = report.newest_result("rate")
    results = Rates(path)
    lines = rate_table(results)
    lines.append("")
    for good, text in rate_goals(results):
        lines.append(f"- {'Reached' if good else 'MISSED'}: {text}." if "at " in text else f"- {text}.")
    lines.append("")
    lines.append(f"Medians of one run of `./run bench rate`: {report.machine(results.context)} "
                 f"([all of it](../bench/results/{path.name})). {results.settings()}. Other work took "
                 f"{results.others:.2f} of {results.context['num_cpus']} processors meanwhile.")
    report.replace_between(report.ROOT / "docs/performance.md", BEGIN, END, "\n".join(lines), check,
                           "bench/rate_report.py docs")


if __name__ == "__main__":
    report.main_of(__doc__, show, docs, "rate")
