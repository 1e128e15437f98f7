// The spans of a trace over time, as a treegrid whose rows exist only while they are in sight.
import type { VNode } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useNarrow } from "../parts/useNarrow";
import { useRows } from "../parts/useRows";
import { place, ticks } from "./axis";
import { type Item, type Model, ancestors, extent, hasChildren, interval, visibleItems } from "./model";
import { Overview } from "./Overview";
import { Row, rowId } from "./Row";
import { search } from "./search";
import { Toolbar } from "./Toolbar";
import { useAxis } from "./useAxis";

const ROW_PX = 26;
const NARROW_ROW_PX = 46;
const HEAD_PX = 30;
// Fewer rows are seen at once anyway.
const OVERVIEW_FROM = 40;

// A gap has none.
function spanIdOf(item: Item): string {
  return item.kind === "span" ? item.span.span_id : "";
}

interface Props {
  model: Model;
  nowNs: number;
  adjusted: boolean;
  selected: string | null; // a span's id
  suspects: ReadonlySet<string>; // ids of spans that the first root cause cites
  onSelect: (spanId: string) => void;
}

export function Waterfall({ model, nowNs, adjusted, selected, suspects, onSelect }: Props) {
  const { items } = model;
  const narrow = useNarrow();
  const rowPx = narrow ? NARROW_ROW_PX : ROW_PX;
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState(0); // index of an item
  const [question, setQuestion] = useState("");
  const visible = useMemo(() => visibleItems(items, folded), [items, folded]);
  const found = useMemo(() => search(items, question), [items, question]);
  const foundSet = useMemo(() => (found === null ? null : new Set(found)), [found]);
  const whole = useMemo(() => extent(items, adjusted, nowNs), [items, adjusted, nowNs]);
  const axis = useAxis(whole);
  const rows = useRows(visible.length, rowPx, HEAD_PX);
  const toReveal = useRef<number | null>(null);
  const selectedIndex = selected === null ? undefined : model.bySpanId.get(selected);

  const goTo = useCallback((index: number) => {
    toReveal.current = index;
    setActive(index);
    setFolded((old) => {
      const above = ancestors(items, index).map((at) => items[at]!.key).filter((key) => old.has(key));
      if (above.length === 0) return old;
      const next = new Set(old);
      for (const key of above) next.delete(key);
      return next;
    });
  }, [items]);

  // From a link, or from the address.
  useEffect(() => {
    if (selectedIndex !== undefined) goTo(selectedIndex);
  }, [selectedIndex]);

  const position = visible.indexOf(active);
  // After the rows are there that the last action unfolded.
  useEffect(() => {
    if (toReveal.current === null) return;
    const at = visible.indexOf(toReveal.current);
    toReveal.current = null;
    if (at < 0) return;
    rows.reveal(at);
    rows.ref.current?.scrollIntoView({ block: "nearest" });
  });

  const toggle = (index: number, fold?: boolean) => {
    const { key } = items[index]!;
    setFolded((old) => {
      const next = new Set(old);
      if (fold ?? !old.has(key)) next.add(key);
      else next.delete(key);
      return next;
    });
  };
  const select = (index: number) => {
    const item = items[index];
    setActive(index);
    if (item?.kind === "span") onSelect(item.span.span_id);
  };
  const step = (by: number) => {
    const next = visible[Math.min(visible.length - 1, Math.max(0, Math.max(0, position) + by))];
    if (next !== undefined) goTo(next);
  };
  // The next one of some items, behind the active one or, at the end, from the start.
  const nextOf = (indexes: number[], by: number) => {
    if (indexes.length === 0) return;
    const ordered = by > 0 ? indexes : [...indexes].reverse();
    const next = ordered.find((index) => (by > 0 ? index > active : index < active)) ?? ordered[0]!;
    goTo(next);
  };
  const unfoldOrEnter = (right: boolean) => {
    const item = items[active];
    if (item === undefined) return;
    const isOpen = hasChildren(item, active) && !folded.has(item.key);
    if (right) {
      if (isOpen) goTo(active + 1);
      else if (folded.has(item.key)) toggle(active, false);
    } else if (isOpen) {
      toggle(active, true);
    } else {
      const parent = ancestors(items, active).at(-1);
      if (parent !== undefined) goTo(parent);
    }
  };

  const keyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const actions: Record<string, () => void> = {
      ArrowDown: () => step(1),
      ArrowUp: () => step(-1),
      PageDown: () => step(rows.perPage),
      PageUp: () => step(-rows.perPage),
      Home: () => step(-visible.length),
      End: () => step(visible.length),
      ArrowRight: () => (event.shiftKey ? axis.panBy(0.1) : unfoldOrEnter(true)),
      ArrowLeft: () => (event.shiftKey ? axis.panBy(-0.1) : unfoldOrEnter(false)),
      Enter: () => select(active),
      " ": () => select(active),
      "+": () => axis.zoomBy(0.5),
      "=": () => axis.zoomBy(0.5),
      "-": () => axis.zoomBy(2),
      "0": axis.fit,
    };
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  };
  const itemAt = (event: MouseEvent): number | undefined => {
    const row = (event.target as Element).closest<HTMLElement>("[data-position]");
    return row === null ? undefined : visible[Number(row.dataset["position"])];
  };
  const click = (event: MouseEvent) => {
    const index = itemAt(event);
    if (index !== undefined && !axis.wasDragged()) select(index);
  };
  const zoomInto = (event: MouseEvent) => {
    const index = itemAt(event);
    if (index !== undefined) axis.show(interval(items[index]!, adjusted, nowNs));
  };
  const foldAll = (fold: boolean) => {
    // The roots stay open, or nothing would be left to see.
    setFolded(new Set(fold ? items.filter((item, index) => item.depth > 0 && hasChildren(item, index)).map((item) => item.key) : []));
    setActive(0);
  };

  const attach = useCallback((element: HTMLDivElement | null) => {
    rows.ref.current = element;
    axis.bind(element);
  }, []);
  const marks = ticks(axis.shown, narrow ? 4 : 8);
  const marked = axis.marked && place(axis.marked, axis.shown);
  const anomalies = () => items.flatMap((item, index) => (item.kind === "span" && item.diagnosed?.is_anomaly ? [index] : []));

  // While only the scroll position changes, rows that stay in sight are the same nodes, which Preact
  // does not look into again.
  const drawn = useMemo(
    () => ({ rows: new Map<number, VNode>() }),
    [items, visible, axis.shown, nowNs, adjusted, folded, active, selectedIndex, suspects, foundSet, rowPx],
  );
  const inSight = visible.slice(rows.first, rows.last).map((index, offset) => {
    const at = rows.first + offset;
    return drawn.rows.get(at) ?? (
      <Row
        key={items[index]!.key}
        item={items[index]!}
        index={index}
        position={at}
        top={at * rowPx}
        shown={axis.shown}
        nowNs={nowNs}
        adjusted={adjusted}
        services={model.services}
        isFolded={folded.has(items[index]!.key)}
        isActive={index === active}
        isSelected={index === selectedIndex}
        isHit={foundSet && foundSet.has(index)}
        isSuspect={suspects.has(spanIdOf(items[index]!))}
        onToggle={() => toggle(index)}
      />
    );
  });
  drawn.rows = new Map(inSight.map((row, offset) => [rows.first + offset, row]));

  return (
    <section class="waterfall" aria-label="Waterfall">
      <Toolbar
        model={model}
        axis={axis}
        hasSuspects={suspects.size > 0}
        question={question}
        hits={found === null ? null : found.length}
        adjusted={adjusted}
        onQuestion={setQuestion}
        onNext={(by) => nextOf(found ?? [], by)}
        onAnomaly={() => nextOf(anomalies(), 1)}
        onFoldAll={foldAll}
      />
      {items.length >= OVERVIEW_FROM && (
        <Overview model={model} whole={whole} shown={axis.shown} adjusted={adjusted} nowNs={nowNs} onShow={axis.show} onFit={axis.fit} />
      )}
      <div
        ref={attach}
        class="grid"
        role="treegrid"
        tabIndex={0}
        aria-label="Spans: arrows move, Enter shows details, plus and minus zoom"
        aria-rowcount={visible.length + 1}
        aria-colcount={3}
        aria-activedescendant={position >= rows.first && position < rows.last ? rowId(position) : undefined}
        onScroll={rows.onScroll}
        onKeyDown={keyDown}
        onClick={click}
        onDblClick={zoomInto}
      >
        <div role="rowgroup" class="head">
          <div role="row" class="head-row" aria-rowindex={1}>
            <div role="columnheader" class="name-cell">Span</div>
            <div role="columnheader" class="duration-cell">Duration</div>
            <div role="columnheader" class="axis">
              <span class="hidden">Timeline</span>
              {marks.map((mark) => (
                <span key={mark.at} class={`tick ${mark.left > 88 ? "last" : ""}`} style={{ left: `${mark.left}%` }} aria-hidden="true">{mark.label}</span>
              ))}
              {marked && <span class="marked" style={{ left: `${marked.left}%`, width: `${marked.width}%` }} />}
            </div>
          </div>
        </div>
        <div role="rowgroup" class="body" style={{ height: `${visible.length * rowPx}px` }}>
          {inSight}
        </div>
      </div>
    </section>
  );
}
