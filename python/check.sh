#!/bin/sh
# Builds the wheel, installs it, and tests it against a PostgreSQL of its own: types, stubs, tests.
# Usage: check.sh PROGRAM FOLDER   FOLDER takes the wheel, an environment and the server's state.
# The last line is "N passed, M failed".
#
# The interpreter is Debian's, for which Debian's packages are; another python3 that stands first in
# PATH is a second one, for which the extension is built, and tried without those packages; not with
# ONE_PYTHON=1.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "$1")
mkdir -p "$2"
folder=$(cd "$2" && pwd)
debian=/usr/bin/python3
passed=0
failed=0

check() { # check TITLE COMMAND...
  title=$1
  shift
  if "$@" >"$folder/check.log" 2>&1; then
    passed=$((passed + 1))
    echo "  ok: $title"
  else
    failed=$((failed + 1))
    cat "$folder/check.log"
    echo "  FAILED: $title"
  fi
}

build_wheel() {
  rm -rf "$folder/wheel" "$folder/venv"
  $debian -m pip wheel --quiet --no-build-isolation --no-deps --no-index \
    --wheel-dir "$folder/wheel" "$root"
}
install_wheel() {
  $debian -m venv --system-site-packages "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --no-deps --no-index "$folder"/wheel/*.whl
}
# What is installed, without the source tree beside it.
in_folder() { (cd "$folder" && "$@"); }

second_interpreter() { # second_interpreter PYTHON
  [ -f "$folder/second/build.ninja" ] || meson setup "$folder/second" "$root" "-Dpython=$1"
  ninja -C "$folder/second"
  rm -rf "$folder/second-root"
  DESTDIR="$folder/second-root" meson install -C "$folder/second" --no-rebuild --quiet
  place=$(dirname "$(find "$folder/second-root" -name spanring -type d | head -n 1)/x")
  PYTHONPATH=$(dirname "$place") "$1" "$root/python/tests/smoke.py"
}

check "wheel is built" build_wheel
check "wheel installs" install_wheel
python=$folder/venv/bin/python
check "types (mypy --strict)" in_folder "$python" -m mypy --config-file "$root/pyproject.toml" \
  -p spanring --cache-dir "$folder/mypy"
check "stubs are those of the extension" in_folder "$python" -m mypy.stubtest spanring._native

state=$folder/state
trap '"$program" dev down --state "$state" >"$folder/down.log" 2>&1' EXIT
"$program" dev up --state "$state" >/dev/null
SPANRING_TEST_DATABASE_URL=$("$program" dev status --state "$state" --json | $debian -c \
  'import json, sys; print(json.load(sys.stdin)["database_url"])')
export SPANRING_TEST_DATABASE_URL SPANRING_PROGRAM="$program"
export SPANRING_RING_DIR="$folder/rings" SPANRING_JOURNAL_DIR="$folder/journal"

other=$(command -v python3)
if [ -z "${ONE_PYTHON:-}" ] && [ "$(readlink -f "$other")" != "$(readlink -f $debian)" ] &&
  "$other" -c 'import sys, sysconfig, os
sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; then
  check "a second interpreter: $("$other" --version)" second_interpreter "$other"
fi

status=0
(cd "$folder" && "$python" -m pytest -q --junitxml="$folder/pytest.xml" --rootdir "$root" \
  -c "$root/pyproject.toml" "$root/python/tests") || status=$?
counts=$($debian - "$folder/pytest.xml" <<'PY'
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
bad = int(suite.get("failures")) + int(suite.get("errors"))
print(int(suite.get("tests")) - bad - int(suite.get("skipped")), bad)
PY
) || counts="0 1"
passed=$((passed + ${counts% *}))
failed=$((failed + ${counts#* }))
echo "$passed passed, $failed failed"
[ "$status" = 0 ] && [ "$failed" = 0 ]
