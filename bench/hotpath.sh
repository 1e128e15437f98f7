#!/usr/bin/env bash
# hotpath.sh PROGRAM JSON [GOOGLE BENCHMARK'S OPTIONS]: runs all cases, those of LTTng in a session of
# its own where LTTng's tools are installed.
set -euo pipefail
program=$1
json=$2
shift 2

daemon=
if command -v lttng >/dev/null && command -v lttng-sessiond >/dev/null && ! pgrep -x lttng-sessiond >/dev/null; then
  LTTNG_HOME=$(mktemp -d)
  export LTTNG_HOME
  lttng-sessiond --no-kernel --quiet >/dev/null 2>&1 &
  daemon=$!
  trap 'lttng destroy -a >/dev/null 2>&1 || true; kill "$daemon" 2>/dev/null || true; wait; rm -rf "$LTTNG_HOME"' EXIT
  for _ in $(seq 50); do lttng list >/dev/null 2>&1 && break || sleep 0.1; done
  # Bounded, and the newest events win, as in a flight recorder.
  lttng create spanring-bench --snapshot --output "$LTTNG_HOME/traces" >/dev/null &&
    lttng enable-channel -u spans --subbuf-size 1M --num-subbuf 4 >/dev/null &&
    lttng enable-event -u 'spanring_bench:*' -c spans >/dev/null &&
    lttng start >/dev/null || echo "no LTTng session: its case measures a disabled tracepoint" >&2
fi

"$program" --benchmark_out="$json" --benchmark_out_format=json --benchmark_display_aggregates_only=true \
  "$@"
