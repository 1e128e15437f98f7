#!/bin/sh
# Services in C++ and Python against a PostgreSQL of their own, with faults injected for real.
# Usage: check.sh PROGRAM RUNNER PYTHON FOLDER   PYTHON has the package; FOLDER takes the server's state.
# The last line is "N passed, M failed".
set -eu
services=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
runner=$(realpath "$2")
python=$(realpath -s "$3")
mkdir -p "$4"
state=$(cd "$4" && pwd)/state
rings=$(mktemp -d "$(test -w /dev/shm && echo /dev/shm || echo "${TMPDIR:-/tmp}")/spanring-e2e.XXXXXX")
trap '"$program" dev down --state "$state" >/dev/null 2>&1; rm -rf "$rings"' EXIT
"$program" dev up --state "$state" >/dev/null
SPANRING_TEST_DATABASE_URL=$("$program" dev status --state "$state" --json | /usr/bin/python3 -c \
  'import json, sys; print(json.load(sys.stdin)["database_url"])')
export SPANRING_TEST_DATABASE_URL SPANRING_RING_DIR="$rings/rings" SPANRING_JOURNAL_DIR="$rings/journal"
"$python" "$services/services.py" "$program" "$runner"
