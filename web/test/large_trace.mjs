// An answer of /trace that no demo has: 10,000 spans of 20 services, one with hostile texts, one open,
// clocks apart, and drops.
const SPANS = 10_000;
const CHILDREN = 100;
const HOSTILE = "<img src=x onerror=alert(1)>";

function uuid(number) {
  return `00000000-0000-0000-0000-${number.toString(16).padStart(12, "0")}`;
}

function span(row, parent, depth, service, operation, offsetNs, lengthNs, lastRow) {
  return {
    row_order: row, depth, trace_id: uuid(1), span_id: uuid(row), parent_span_id: parent === null ? null : uuid(parent),
    service, operation, started_at: new Date(1.7e12 + offsetNs / 1e6).toISOString(),
    completed_at: new Date(1.7e12 + (offsetNs + lengthNs) / 1e6).toISOString(), status: "completed", job_id: null,
    execution_id: 2193, model_id: null, region: null, metadata: null, error_message: null, error_type: null,
    duration_ns: lengthNs, offset_ns: offsetNs, self_time_ns: 0, parent_row: parent, last_row: lastRow,
    is_orphan: false, adjusted_offset_ns: offsetNs, shift_ns: 0, shift_reason: null,
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
  Object.assign(spans[2], { adjusted_offset_ns: 5e9, shift_ns: 5e9, shift_reason: "moved" });
  return {
    execution_id: 2193, trace_ids: [uuid(1)], spans, gaps: [],
    critical_path: [{ offset_ns: 0, length_ns: 100e9, row_order: 1, is_main_root: true }],
    spans_dropped: 1234, drop_reasons: { ring_full: 1234 },
  };
}
