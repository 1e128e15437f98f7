import { count } from "../app/format";
import type { Trace } from "../types";

export function DroppedSpans({ trace }: { trace: Trace }) {
  if (!trace.spans_dropped) return null;
  return (
    <p class="warning" role="status">
      <strong>{count(trace.spans_dropped)} spans were dropped</strong> by the writers of this trace in its time
      {trace.drop_reasons !== null && <> ({trace.drop_reasons})</>}: spans may be missing below, and a gap may be one of them.
    </p>
  );
}
