"""A database for each test, and programs that trace into it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

SERVER = os.environ["SPANRING_TEST_DATABASE_URL"]


class Database:
    def __init__(self) -> None:
        self.name = f"python_{uuid.uuid4().hex[:12]}"
        self.psql(f"CREATE DATABASE {self.name}", SERVER)
        self.url = urlunsplit(urlsplit(SERVER)._replace(path=f"/{self.name}"))
        subprocess.run([os.environ["SPANRING_PROGRAM"], "migrate", "-d", self.url], check=True, capture_output=True)

    def drop(self) -> None:
        self.psql(f"DROP DATABASE {self.name} WITH (FORCE)", SERVER)

    @staticmethod
    def psql(sql: str, url: str) -> str:
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run(self, sql: str) -> str:
        return self.psql(sql, self.url)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return json.loads(self.run(f"SELECT coalesce(json_agg(row_to_json(row)), '[]') FROM ({sql}) AS row"))

    def spans(self) -> dict[str, dict[str, Any]]:
        """By operation, with the parent's operation."""
        found = self.rows(
            "SELECT span.*, above.operation AS parent FROM trace_spans AS span"
            " LEFT JOIN trace_spans AS above ON above.trace_id = span.trace_id AND above.span_id = span.parent_span_id"
        )
        return {span["operation"]: span for span in found}

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | {"ENABLE_DB_TRACING": "true", "DATABASE_URL": self.url, "OTEL_SERVICE_NAME": "python"} | more

    def trace(self, program: str, **more: str) -> str:
        """Runs a program that traces into this database; what it prints."""
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", textwrap.dedent(program)],
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        assert "Warning" not in done.stderr, done.stderr
        return done.stdout


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.drop()
