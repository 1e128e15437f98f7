#!/bin/sh
# Services in C++, Python and JavaScript against a PostgreSQL of their own, with faults injected for real.
# Usage: check.sh PROGRAM RUNNER PYTHON FOLDER   PYTHON has the package; FOLDER takes packages and the server's state.
# The last line is "N passed, M failed".
set -eu
services=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
runner=$(realpath "$2")
python=$(realpath -s "$3")
mkdir -p "$4"
folder=$(cd "$4" && pwd)
state=$folder/state
cp "$services/../otlp/clients/package.json" "$services/../otlp/clients/package-lock.json" \
  "$services/scorer.mjs" "$folder"
(
  cd "$folder"
  [ node_modules/.package-lock.json -nt package-lock.json ] ||
    npm ci --ignore-scripts --prefer-offline --no-audit --no-fund
)
rings=$(mktemp -d "$(test -w /dev/shm && echo /dev/shm || echo "${TMPDIR:-/tmp}")/spanring-e2e.XXXXXX")
trap '"$program" dev down --state "$state" >/dev/null 2>&1; rm -rf "$rings"' EXIT
"$program" dev up --state "$state" >/dev/null
SPANRING_TEST_DATABASE_URL=$("$program" dev status --state "$state" --json | /usr/bin/python3 -c \
  'import json, sys; print(json.load(sys.stdin)["database_url"])')
export SPANRING_TEST_DATABASE_URL SPANRING_RING_DIR="$rings/rings" SPANRING_JOURNAL_DIR="$rings/journal"
"$python" "$services/services.py" "$program" "$runner" "$folder/scorer.mjs"
