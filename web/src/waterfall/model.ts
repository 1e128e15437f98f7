// A trace as rows: spans in the order that the database gave them, and the gaps that are worth a row
// of their own. Offsets are nanoseconds from the trace's start.
import type { Cover, DiagnosedSpan, Gap, PathSegment, Span, Trace } from "../types";

export interface Interval {
  from: number;
  to: number;
}

interface Place {
  key: string;
  depth: number;
  // The first item behind this one's subtree: where a folded one goes on.
  end: number;
}

export interface SpanItem extends Place {
  kind: "span";
  span: Span;
  diagnosed: DiagnosedSpan | null;
  // Parts of the critical path that are this span's own.
  path: Interval[];
}

export interface GapItem extends Place {
  kind: "gap";
  gap: Gap;
  from: string; // services
  to: string;
}

export type Item = SpanItem | GapItem;

export interface Model {
  items: Item[];
  // By what is unique in a trace; several spans with one id have the first's.
  bySpanId: Map<string, number>;
  services: string[];
  originMs: number; // of the clock, at offset 0
  hasOpen: boolean;
  hasSkew: boolean;
  anomalies: number;
}

// A gap between services gets a row where it is at least this share of the whole.
const GAP_SHARE = 0.02;

export function spanKey(span: Span): string {
  return `${span.row_order}:${span.span_id}`;
}

function gapRows(spans: Span[], gaps: Gap[], wholeNs: number): Map<number, GapItem[]> {
  const before = new Map<number, GapItem[]>();
  for (const gap of gaps) {
    if (gap.kind === "overflow" || gap.gap_ns < wholeNs * GAP_SHARE) continue;
    const from = spans[gap.from_row - 1]?.service;
    const to = spans[gap.to_row - 1]?.service;
    if (from === undefined || to === undefined || from === to) continue;
    const parent = gap.parent_row === null ? undefined : spans[gap.parent_row - 1];
    // A tail gap stands behind all that is below its parent, any other in front of what ends it.
    const at = gap.kind === "tail" && parent !== undefined ? parent.last_row + 1 : gap.to_row;
    const item: GapItem = {
      kind: "gap",
      key: `gap:${gap.kind}:${gap.parent_row}:${gap.to_row}:${gap.offset_ns}`,
      depth: (parent?.depth ?? -1) + 1,
      end: 0,
      gap,
      from,
      to,
    };
    before.set(at, [...(before.get(at) ?? []), item]);
  }
  // Of several that end where many subtrees end the innermost comes first.
  for (const items of before.values()) items.sort((a, b) => b.depth - a.depth);
  return before;
}

function setEnds(items: Item[]): void {
  const open: Item[] = [];
  items.forEach((item, index) => {
    while (open.length > 0 && open[open.length - 1]!.depth >= item.depth) open.pop()!.end = index;
    open.push(item);
  });
  for (const item of open) item.end = items.length;
}

function pathParts(segments: PathSegment[]): Map<number, Interval[]> {
  const parts = new Map<number, Interval[]>();
  for (const { row_order, offset_ns, length_ns } of segments) {
    if (length_ns === 0) continue;
    const own = parts.get(row_order) ?? [];
    own.push({ from: offset_ns, to: offset_ns + length_ns });
    parts.set(row_order, own);
  }
  return parts;
}

export function buildModel(trace: Trace, diagnosed: DiagnosedSpan[], adjusted: boolean): Model {
  const { spans } = trace;
  const cover: Cover = (adjusted ? trace.adjusted : null) ?? trace;
  let wholeNs = 1;
  for (const span of spans) wholeNs = Math.max(wholeNs, span.offset_ns + (span.duration_ns ?? 0));
  const gaps = gapRows(spans, cover.gaps, wholeNs);
  const paths = pathParts(cover.critical_paths.find((path) => path.is_main_root)?.segments ?? []);

  const items: Item[] = [];
  const services: string[] = [];
  const known = new Set<string>();
  let anomalies = 0;
  spans.forEach((span, index) => {
    for (const gap of gaps.get(span.row_order) ?? []) items.push(gap);
    // Both answers are in display order; while a trace grows they may be apart for a moment.
    const judged = diagnosed[index];
    const own = judged?.span_id === span.span_id ? judged : null;
    if (own?.is_anomaly) anomalies += 1;
    items.push({
      kind: "span",
      key: spanKey(span),
      depth: span.depth,
      end: 0,
      span,
      diagnosed: own,
      path: paths.get(span.row_order) ?? [],
    });
    if (!known.has(span.service)) {
      known.add(span.service);
      services.push(span.service);
    }
  });
  for (const gap of gaps.get(spans.length + 1) ?? []) items.push(gap);
  setEnds(items);

  const bySpanId = new Map<string, number>();
  items.forEach((item, index) => {
    if (item.kind === "span" && !bySpanId.has(item.span.span_id)) bySpanId.set(item.span.span_id, index);
  });
  const first = spans[0];
  return {
    items,
    bySpanId,
    services,
    originMs: first === undefined ? 0 : Date.parse(first.started_at) - first.offset_ns / 1e6,
    hasOpen: spans.some((span) => span.status === "started"),
    hasSkew: spans.some((span) => span.shift_ns !== 0),
    anomalies,
  };
}

// Indexes of the items that no folded one hides.
export function visibleItems(items: Item[], folded: ReadonlySet<string>): number[] {
  const visible: number[] = [];
  for (let at = 0; at < items.length; ) {
    const item = items[at]!;
    visible.push(at);
    at = folded.has(item.key) ? item.end : at + 1;
  }
  return visible;
}

export function hasChildren(item: Item, index: number): boolean {
  return item.end > index + 1;
}

// From the root down to the one above the item.
export function ancestors(items: Item[], index: number): number[] {
  const above: number[] = [];
  let depth = items[index]?.depth ?? 0;
  for (let at = index - 1; at >= 0 && depth > 0; at -= 1) {
    if (items[at]!.depth < depth) {
      depth = items[at]!.depth;
      above.unshift(at);
    }
  }
  return above;
}

export function interval(item: Item, adjusted: boolean, nowNs: number): Interval {
  if (item.kind === "gap") return { from: item.gap.offset_ns, to: item.gap.offset_ns + item.gap.gap_ns };
  const { span } = item;
  const from = span.offset_ns + (adjusted ? span.shift_ns : 0);
  if (span.status === "started") return { from, to: Math.max(from, nowNs) };
  return { from, to: from + (span.duration_ns ?? 0) };
}

export function extent(items: Item[], adjusted: boolean, nowNs: number): Interval {
  let from = Infinity;
  let to = -Infinity;
  for (const item of items) {
    if (item.kind === "gap") continue;
    const own = interval(item, adjusted, nowNs);
    from = Math.min(from, own.from);
    to = Math.max(to, own.to);
  }
  if (from > to) return { from: 0, to: 1 };
  return { from, to: Math.max(to, from + 1) };
}
