// Answers of /trace that no demo has: 10,000 spans of 20 services, one with hostile texts, and drops;
// and two spans whose clocks are apart.
const SPANS = 10_000;
const CHILDREN = 100;
const HOSTILE = "<img src=x onerror=alert(1)>";

function uuid(number) {
  return `00000000-0000-0000-0000-${number.toString(16).padStart(12, "0")}`;
}

// As the API sends it: what is null, false, or common to all is left out.
function span(row, parent, depth, service, operation, offsetNs, lengthNs, lastRow) {
  return {
    row_order: row, depth, parent_row: parent ?? undefined, last_row: lastRow, span_id: uuid(row),
    parent_span_id: parent === null ? undefined : uuid(parent), service, operation, status: "completed",
    started_at: new Date(1.7e12 + offsetNs / 1e6).toISOString(),
    completed_at: new Date(1.7e12 + (offsetNs + lengthNs) / 1e6).toISOString(), offset_ns: offsetNs,
    duration_ns: lengthNs, self_time_ns: 0,
  };
}

function trace(spans) {
  return {
    execution_id: 2193, trace_ids: [uuid(1)], common: { trace_id: uuid(1), execution_id: 2193 }, spans, gaps: [],
    critical_paths: [{ root_row: 1, is_main_root: true, segments: [{ row_order: 1, offset_ns: 0, length_ns: 100e9 }] }],
    adjusted: null, spans_dropped: 0, drop_reasons: null,
  };
}

export function largeTrace() {
  const spans = [span(1, null, 0, "service-0", "root", 0, 100e9, SPANS)];
  while (spans.length < SPANS) {
    const row = spans.length + 1;
    const call = (row - 2) / (CHILDREN + 1);
    const service = `service-${call % 20}`;
    const last = Math.min(SPANS, row + CHILDREN);
    spans.push(span(row, 1, 1, service, `call-${call}`, call * 1e9, 0.99e9, last));
    for (let at = row + 1; at <= last; at += 1) {
      spans.push(span(at, row, 2, service, `step-${at}`, call * 1e9 + (at - row - 1) * 9e6, 9e6, at));
    }
  }
  Object.assign(spans[1], { operation: HOSTILE, metadata: { [HOSTILE]: HOSTILE, big: 1 }, status: "failed", error_type: HOSTILE, error_message: HOSTILE });
  Object.assign(spans[2], { shift_ns: 5e9, shift_reason: "moved" });
  return { ...trace(spans), spans_dropped: 1234, drop_reasons: "ring_full 1234" };
}

// A call whose callee's clock is 40 s ahead: recorded from 60 to 120 s of the caller's 100, it fits from
// 20 to 80.
export function skewedTrace() {
  const gap = (kind, from, to, offsetNs, lengthNs) => ({ kind, from_row: from, to_row: to, parent_row: 1, offset_ns: offsetNs, gap_ns: lengthNs });
  const path = (...parts) => [{ root_row: 1, is_main_root: true, segments: parts.map(([row, from, to]) => ({ row_order: row, offset_ns: from, length_ns: to - from })) }];
  const spans = [span(1, null, 0, "caller", "call", 0, 100e9, 2), span(2, 1, 1, "callee", "answer", 60e9, 60e9, 2)];
  Object.assign(spans[1], { shift_ns: -40e9, shift_reason: "ended after its parent" });
  return {
    ...trace(spans),
    gaps: [gap("lead", 1, 2, 0, 60e9), gap("overflow", 2, 1, 100e9, 20e9)],
    critical_paths: path([1, 0, 60e9], [2, 60e9, 100e9]),
    adjusted: {
      gaps: [gap("lead", 1, 2, 0, 20e9), gap("tail", 2, 1, 80e9, 20e9)],
      critical_paths: path([1, 0, 20e9], [2, 20e9, 80e9], [1, 80e9, 100e9]),
    },
  };
}
