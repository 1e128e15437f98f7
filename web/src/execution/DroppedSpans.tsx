import { count } from "../app/format";
import type { Trace } from "../types";

export function DroppedSpans({ trace }: { trace: Trace }) {
  if (!trace.spans_dropped) return null;
  const reasons = Object.entries(trace.drop_reasons ?? {}).map(([reason, spans]) => `${reason} ${count(spans)}`);
  return (
    <p class="warning" role="status">
      <strong>{count(trace.spans_dropped)} spans were dropped</strong> by the writers of this trace in its time
      {reasons.length > 0 && <> ({reasons.join(", ")})</>}: spans may be missing below, and a gap may be one of them.
    </p>
  );
}
