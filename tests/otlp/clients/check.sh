#!/bin/sh
# OpenTelemetry's SDK for JavaScript against the program, over a PostgreSQL of its own.
# Usage: check.sh PROGRAM FOLDER   FOLDER takes packages and the server.
# The last line is "N passed, M failed".
set -eu
clients=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
mkdir -p "$2"
folder=$(cd "$2" && pwd)
# The source tree stays clean: packages lie beside a copy of it.
cp "$clients/package.json" "$clients/package-lock.json" "$clients/check.mjs" "$folder"
cd "$folder"
[ node_modules/.package-lock.json -nt package-lock.json ] ||
  npm ci --ignore-scripts --prefer-offline --no-audit --no-fund
export SPANRING_STATE_DIR="$folder/state"
trap '"$program" dev down >"$folder/down.log" 2>&1' EXIT
"$program" dev up >"$folder/up.log" 2>&1
"$program" migrate >"$folder/migrate.log" 2>&1
node check.mjs "$program"
