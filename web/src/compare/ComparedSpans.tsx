// Span by span, matched by call path; like the waterfall, only rows in sight exist.
import { differenceMs, durationMs } from "../app/format";
import { useNarrow } from "../parts/useNarrow";
import { useRows } from "../parts/useRows";
import type { ComparedSpan, Status } from "../types";

const ROW_PX = 40;
const NARROW_ROW_PX = 84;
const HEAD_PX = 30;

function Time({ side, ms, status, longest }: { side: string; ms: number | null; status: Status | null; longest: number }) {
  const words = status === null ? `not in ${side.toUpperCase()}` : status === "started" ? "open" : durationMs(ms);
  return (
    <div class={`pair ${side}`}>
      <span class="pair-bar" aria-hidden="true"><span style={{ width: `${(100 * (ms ?? 0)) / longest}%` }} /></span>
      <span class={`pair-text ${status ?? "absent"}`}>
        <span class="hidden">{side.toUpperCase()}: </span>{words}{status === "failed" && " ✕"}{status === "timeout" && " ◷"}
      </span>
    </div>
  );
}

function ComparedRow({ span, top, position, longest }: { span: ComparedSpan; top: number; position: number; longest: number }) {
  const errors = [span.error_a && `A: ${span.error_a}`, span.error_b && `B: ${span.error_b}`].filter(Boolean).join("\n");
  return (
    <div role="row" aria-rowindex={position + 2} class={`row compared ${span.presence}`} style={{ transform: `translateY(${top}px)` }} title={errors || undefined}>
      <div role="cell" class="name-cell" style={{ paddingLeft: `${0.5 + Math.min(span.depth, 24) * 0.75}rem` }}>
        <span class="operation">{span.operation}{span.occurrence > 1 && ` (${span.occurrence})`}</span>
        <span class="service">{span.service}</span>
        {span.presence !== "both" && <span class="only">only {span.presence.toUpperCase()}</span>}
      </div>
      <div role="cell" class="pair-cell">
        <Time side="a" ms={span.duration_a_ms} status={span.status_a} longest={longest} />
        <Time side="b" ms={span.duration_b_ms} status={span.status_b} longest={longest} />
      </div>
      <div role="cell" class="duration-cell">{differenceMs(span.difference_ms)}</div>
    </div>
  );
}

export function ComparedSpans({ spans }: { spans: ComparedSpan[] }) {
  const rowPx = useNarrow() ? NARROW_ROW_PX : ROW_PX;
  const rows = useRows(spans.length, rowPx, HEAD_PX);
  const longest = spans.reduce((most, span) => Math.max(most, span.duration_a_ms ?? 0, span.duration_b_ms ?? 0), 0.001);
  return (
    <section aria-labelledby="spans-title">
      <h2 id="spans-title">Spans</h2>
      <div ref={rows.ref} class="grid comparison" role="table" tabIndex={0} aria-labelledby="spans-title" aria-rowcount={spans.length + 1} onScroll={rows.onScroll}>
        <div role="rowgroup" class="head">
          <div role="row" class="head-row compared" aria-rowindex={1}>
            <div role="columnheader" class="name-cell">Span</div>
            <div role="columnheader" class="pair-cell">Duration: A above, B below</div>
            <div role="columnheader" class="duration-cell">B − A</div>
          </div>
        </div>
        <div role="rowgroup" class="body" style={{ height: `${spans.length * rowPx}px` }}>
          {spans.slice(rows.first, rows.last).map((span, offset) => (
            <ComparedRow key={span.row_order} span={span} position={rows.first + offset} top={(rows.first + offset) * rowPx} longest={longest} />
          ))}
        </div>
      </div>
    </section>
  );
}
