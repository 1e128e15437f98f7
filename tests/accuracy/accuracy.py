#!/usr/bin/env python3
"""How often the diagnosis is right on traces whose cause is known: ./run accuracy

Needs the corpora's folder (see its README.md), `spanring` and psql. Prints one table a subject.
Exit status: 0 when all goals are met, 1 when one is missed, 2 when it cannot run.
"""

import argparse
import collections
import json
import pathlib
import random
import sys
import tempfile

import corpora
import executions
from database import Database, quoted

# A share of all, at least; of false alarms at most.
GOALS = {
    "root_cause top 1": 0.80,
    "root_cause top 3": 0.90,
    "false alarms": 0.05,
    "error_origin": 1.00,
    "critical_path": 1.00,
    "executions": 0.95,
}
missed = []


def table(title: str, header: list, rows: list) -> None:
    rows = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    print(f"\n{title}")
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells))


def goal(name: str, right: int, all_: int) -> None:
    share = right / all_ if all_ else 0.0
    at_most = name == "false alarms"
    met = share <= GOALS[name] if at_most else share >= GOALS[name]
    word = "at most" if at_most else "at least"
    print(f"  {name}: {share:.1%} of {all_}, goal {word} {GOALS[name]:.0%}"
          f"{'' if met else ': MISSED'}")
    if not met:
        missed.append(name)


def root_cause(database: Database, folder: pathlib.Path) -> None:
    cases = json.loads((folder / "labels.json").read_text())["cases"]
    names = {case["baseline_file"] for case in cases} | {case["fault_file"] for case in cases}
    windows = {}
    database.empty()
    for name in sorted(names):
        windows[name] = corpora.window_of(corpora.read_csv(folder / name))
        corpora.import_csv(database, folder / name)
    counts = collections.defaultdict(collections.Counter)
    for case in cases:
        times = [*windows[case["fault_file"]], *windows[case["baseline_file"]]]
        arguments = ", ".join(map(quoted, times))
        rows = database.rows(f"SELECT * FROM identify_root_cause_window({arguments}) ORDER BY rank")
        named = [row["affected_service"] for row in rows]
        visible = "visible" if case["latency_visible"] else "not visible"
        for key in ((case["fault_kind"], visible), ("all", visible), ("all", "")):
            counts[key].update(
                n=1, top1=case["root_cause_service"] in named[:1],
                top3=case["root_cause_service"] in named[:3],
                abstained=named[:1] in ([], [None]))
    def order(key):
        return (key[0] == "all", key[1] == "", key)
    table("root_cause: the true service, by fault kind and whether it shows in times",
          ["fault", "", "n", "first", "first 3", "abstained"],
          [[*key, *(counts[key][name] for name in ("n", "top1", "top3", "abstained"))]
           for key in sorted(counts, key=order)])
    of_visible = counts[("all", "visible")]
    goal("root_cause top 1", of_visible["top1"], of_visible["n"])
    goal("root_cause top 3", of_visible["top3"], of_visible["n"])


def false_alarms(database: Database, folder: pathlib.Path) -> None:
    cases = json.loads((folder / "labels.json").read_text())["cases"]
    rows, flagged, all_ = [], 0, 0
    for name in sorted({case["baseline_file"] for case in cases}):
        for part in range(3):
            database.empty()
            split = corpora.halves(corpora.read_csv(folder / name), part, days=10)
            times = []
            for half in (1, 0):
                times += corpora.window_of([row for row in split if row["half"] == half])
            with tempfile.TemporaryDirectory() as temporary:
                path = pathlib.Path(temporary) / "split.csv.gz"
                corpora.write_csv(split, path)
                corpora.import_csv(database, path)
            found = database.rows(
                "SELECT service, operation, bool_or(is_change) AS is_change FROM "
                f"trace_window_changes({', '.join(map(quoted, times))}) WHERE is_enough "
                "GROUP BY service, operation")
            alarms = sum(row["is_change"] for row in found)
            rows.append([f"{name} split {part + 1}", len(found), alarms])
            flagged, all_ = flagged + alarms, all_ + len(found)
    table("false alarms: one half of a baseline against the other",
          ["baseline", "operations", "flagged"], rows)
    goal("false alarms", flagged, all_)


def error_origin(database: Database, folder: pathlib.Path) -> None:
    rows, right = [], 0
    labels = json.loads((folder / "labels.json").read_text())
    for label in labels:
        database.empty()
        spans = corpora.incident(folder / label["file"])
        database.copy(spans)
        starts = sorted(span[5] for span in spans)
        found = database.rows(
            f"SELECT service FROM trace_error_origins({quoted(starts[0])}, "
            f"{quoted(starts[-1])}::timestamptz + interval '1 s') ORDER BY rank LIMIT 1")
        service = found[0]["service"] if found else "none"
        ok = service == label["first_failing_service"]
        right += ok
        rows.append([label["file"], service, "right" if ok else label["first_failing_service"]])
    table("error_origin: the first failing service", ["incident", "found", "true"], rows)
    goal("error_origin", right, len(labels))


def critical_path(database: Database, folder: pathlib.Path) -> None:
    rows, right = [], 0
    expected = json.loads((folder / "critical_path" / "expected.json").read_text())
    for case in expected:
        database.empty()
        database.spanring("import", str(folder / case["file"]), "-d", database.url)
        found = database.rows(
            f"""WITH names AS (
                SELECT trace_id, span_id,
                    coalesce(metadata->>'import.trace_id', replace(trace_id::text, '-', ''))
                        AS trace,
                    coalesce(metadata->>'import.span_id',
                        right(replace(span_id::text, '-', ''), 16)) AS span
                FROM trace_spans),
            roots AS (
                SELECT * FROM names WHERE ltrim(lower(trace), '0') =
                    ltrim(lower({quoted(case["traceID"])}), '0') AND span = {quoted(case["root"])})
            SELECT names.span, sum(path.length_ns) AS ns
            FROM roots, trace_critical_path(NULL, roots.trace_id) AS path, names
            WHERE path.root_span_id = roots.span_id AND names.trace_id = roots.trace_id
                AND names.span_id = path.span_id
            GROUP BY names.span""")
        times = {row["span"]: row["ns"] / 1000 for row in found if row["ns"]}
        truth = {span: us for span, us in case["criticalPathTimePerSpan_us"].items() if us}
        ok = times == truth
        right += ok
        if not ok:
            rows.append([case["file"], case["traceID"], len(truth), len(times)])
    table("critical_path: traces that differ from what two implementations agree on",
          ["file", "trace", "spans expected", "found"], rows or [["none", "", "", ""]])
    goal("critical_path", right, len(expected))


def own_executions(database: Database, seed: int, variants: int) -> None:
    database.empty()
    rng = random.Random(seed)
    rows, truths, number = [], {}, 5000
    for _ in range(40):  # a history of normal ones
        number += 1
        rows += executions.execution(None, number, 0, rng).rows()
        truths[number] = None
    for cause in executions.CAUSES:
        for variant in range(variants):
            number += 1
            rows += executions.execution(cause, number, variant, rng).rows()
            truths[number] = cause
    database.copy(rows)
    found = {row["id"]: row for row in database.rows(
        "SELECT id, root_cause_type AS type, affected_service AS service, evidence "
        f"FROM generate_series(5001, {number}) AS id LEFT JOIN LATERAL identify_root_cause(id) "
        "ON rank = 1")}
    lines, right = [], 0
    for cause in [*executions.CAUSES, None]:
        services = executions.CAUSES.get(cause, (None,))
        of_cause = [found[id_] for id_, truth in truths.items() if truth == cause]
        wrong = collections.Counter(
            f"{row['type']} in {row['service']}" for row in of_cause
            if (row["type"] != cause or row["service"] not in services)
            # Of a normal one it may say what was recovered from.
            and (cause or "its caller went on" not in row["evidence"]))
        hits = len(of_cause) - wrong.total()
        right += hits if cause else 0
        others = ", ".join(f"{answer} {n}" for answer, n in wrong.most_common())
        lines.append([cause or "normal", len(of_cause), hits, others or "-"])
    table(f"executions: faults injected into our own runner (seed {seed})",
          ["cause", "n", "right", "others"], lines)
    goal("executions", right, variants * len(executions.CAUSES))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=pathlib.Path, default=pathlib.Path("../shared/corpora"))
    parser.add_argument("--program", type=pathlib.Path, required=True, help="spanring")
    parser.add_argument("--seed", type=int, default=1, help="of the executions (1)")
    parser.add_argument("--variants", type=int, default=20, help="a cause (20)")
    arguments = parser.parse_args()
    folder = arguments.corpora
    if not (folder / "root_cause" / "labels.json").is_file():
        print(f"accuracy: no corpora in {folder}: give --corpora DIR", file=sys.stderr)
        return 2
    with Database(arguments.program.resolve()) as database:
        own_executions(database, arguments.seed, arguments.variants)
        error_origin(database, folder / "error_origin")
        critical_path(database, folder)
        root_cause(database, folder / "root_cause")
        false_alarms(database, folder / "root_cause")
    print(f"\n{'missed: ' + ', '.join(missed) if missed else 'all goals are met'}")
    return 1 if missed else 0


sys.exit(main())
