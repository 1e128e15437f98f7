#!/bin/sh
# Checks the page: types, then its views in chromium over the demo's data.
# Usage: check.sh PROGRAM FOLDER   FOLDER takes packages, the demo's server and screenshots.
# The last line is "N passed, M failed".
set -eu
web=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "$1")
mkdir -p "$2"
folder=$(cd "$2" && pwd)
# The source tree stays clean: packages lie beside a copy of it.
cp "$web/package.json" "$web/package-lock.json" "$web/tsconfig.json" "$web"/test/*.mjs "$folder"
rm -rf "$folder/src"
cp -r "$web/src" "$folder/src"
cd "$folder"
[ node_modules/.package-lock.json -nt package-lock.json ] ||
  npm ci --ignore-scripts --prefer-offline --no-audit --no-fund
node node_modules/typescript/bin/tsc --project .
export SPANRING_STATE_DIR="$folder/state"
trap '"$program" dev down >"$folder/down.log" 2>&1' EXIT
"$program" demo >"$folder/demo.log" 2>&1
status=0
node --test-reporter=spec --test-reporter-destination=stdout --test-reporter=junit \
  --test-reporter-destination=page.xml page_test.mjs "$program" "$folder/screenshots" || status=$?
count() { sed -nE "s/.*<!-- $1 ([0-9]+) -->.*/\1/p" page.xml; }
echo "$(count pass) passed, $(($(count fail) + $(count cancelled))) failed"
exit $status
