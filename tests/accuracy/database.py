"""A private PostgreSQL by `spanring dev up`, and what is asked of it through psql."""

import json
import pathlib
import shutil
import subprocess
import tempfile

COLUMNS = (
    "trace_id, span_id, parent_span_id, service, operation, started_at, completed_at, "
    "duration_ns, duration_ms, status, error_type, error_message, execution_id"
)


class Database:
    """Up within a `with`; its folder is gone afterwards."""

    def __init__(self, program: pathlib.Path):
        self.program = program

    def __enter__(self) -> "Database":
        self.folder = tempfile.mkdtemp(prefix="spanring-accuracy.")
        # Called by root, the server's user must pass.
        pathlib.Path(self.folder).chmod(0o711)
        self.spanring("dev", "up")
        status = json.loads(self.spanring("dev", "status", "--json"))
        self.url = status["database_url"]
        self.spanring("migrate", "-d", self.url)
        return self

    def __exit__(self, *_) -> None:
        subprocess.run([self.program, "dev", "down", "--state", self.folder], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def spanring(self, *arguments: str) -> str:
        command = [str(self.program), *arguments, "--state", self.folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def run(self, script: str) -> str:
        command = ["psql", self.url, "-XqAt", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(command, input=script, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def rows(self, query: str) -> list:
        """The rows as objects."""
        answer = self.run(f"SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM ({query}) AS r;")
        return json.loads(answer)

    def copy(self, rows: list) -> None:
        """Rows in the order of COLUMNS; None is NULL."""
        lines = "".join("\t".join(map(cell, row)) + "\n" for row in rows)
        self.run(f"COPY trace_spans ({COLUMNS}) FROM STDIN;\n{lines}\\.\nANALYZE trace_spans;\n")

    def empty(self) -> None:
        self.run("TRUNCATE trace_spans, trace_open_spans;")


def cell(value) -> str:
    if value is None:
        return "\\N"
    text = str(value).replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
