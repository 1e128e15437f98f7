// A trace as the API sends it, with every span whole again.
import type { SentTrace, Span, Trace } from "../types";

export function readTrace({ common, ...sent }: SentTrace): Trace {
  const nothing = {
    parent_row: null,
    parent_span_id: null,
    is_orphan: false,
    job_id: null,
    execution_id: null,
    model_id: null,
    region: null,
    completed_at: null,
    duration_ns: null,
    self_time_ns: null,
    shift_ns: 0,
    shift_reason: null,
    error_type: null,
    error_message: null,
    metadata: null,
  };
  const shared = { ...nothing, ...common };
  // A trace_id that is not common to all stands in each.
  return { ...sent, spans: sent.spans.map((span) => ({ ...shared, ...span }) as Span) };
}
