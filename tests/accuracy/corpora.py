"""Reads the corpora, and brings them into a database."""

import csv
import datetime
import gzip
import hashlib
import io
import json
import pathlib
import uuid

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def at(ns: int) -> str:
    """A time as PostgreSQL reads it."""
    return (EPOCH + datetime.timedelta(microseconds=ns // 1000)).isoformat()


def read_csv(path: pathlib.Path) -> list:
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def window_of(rows: list) -> tuple:
    """Begin and end of the spans' starts, as PostgreSQL reads them; the end is behind the last."""
    starts = [int(row["StartTimeUnixNano"]) for row in rows]
    return at(min(starts)), at(max(starts) + 1_000_000)


def halves(rows: list, part: int, days: int) -> list:
    """The traces of one half, by trace id and `part`, moved by so many days."""
    shift = days * 86_400 * 1_000_000_000
    moved = []
    for row in rows:
        digest = hashlib.md5(f"{part}{row['TraceID']}".encode()).digest()
        half = digest[0] % 2
        step = shift * (1 + half)
        moved.append(
            row
            | {
                # Other traces, since the same ones are in the database already.
                "TraceID": hashlib.md5(f"{part}/{row['TraceID']}".encode()).hexdigest(),
                "StartTimeUnixNano": str(int(row["StartTimeUnixNano"]) + step),
                "EndTimeUnixNano": str(int(row["EndTimeUnixNano"]) + step),
                "half": half,
            }
        )
    return moved


def write_csv(rows: list, path: pathlib.Path) -> None:
    text = io.StringIO()
    names = [name for name in rows[0] if name != "half"]
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(gzip.compress(text.getvalue().encode()))


def import_csv(database, path: pathlib.Path) -> None:
    database.spanring("import", "--format", "csv", str(path), "-d", database.url)


def hex_id(text: str) -> str:
    return str(uuid.UUID(text.rjust(32, "0")))


def incident(path: pathlib.Path) -> list:
    """An incident of error_origin as rows. Ids are any text there; "same" is the trace before."""
    rows, trace = [], None
    for span in json.loads(path.read_text()):
        trace = trace if span["trace_id"] == "same" else span["trace_id"]
        trace_id = str(uuid.UUID(hashlib.md5(trace.encode()).hexdigest()))
        ids = [span["span_id"], span.get("parent_id")]
        ids = [text and hex_id(text.encode().hex()) for text in ids]
        duration_ns = round(span["duration_ms"] * 1e6)
        start = datetime.datetime.fromisoformat(span["start"].replace("Z", "+00:00"))
        end = start + datetime.timedelta(microseconds=duration_ns // 1000)
        status = "failed" if span["status"] == "ERROR" else "completed"
        more = span.get("attributes", {})
        message = span.get("error") or span.get("status_message") or more.get("error.message")
        times = (start.isoformat(), end.isoformat(), duration_ns, duration_ns // 1_000_000)
        names = (span["service"], span["name"])
        errors = (more.get("error.type"), message)
        rows.append((trace_id, *ids, *names, *times, status, *errors, None))
    return rows
