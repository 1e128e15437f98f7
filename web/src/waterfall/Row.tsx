// One row: a span with its bar, or a gap.
import { duration } from "../app/format";
import { StatusMark, isBad } from "../parts/StatusMark";
import { place } from "./axis";
import { serviceClass } from "./colours";
import { type GapItem, type Interval, type Item, type SpanItem, hasChildren, interval } from "./model";

export interface RowProps {
  item: Item;
  index: number; // of the item
  position: number; // among the visible ones
  top: number;
  shown: Interval;
  nowNs: number;
  adjusted: boolean;
  services: string[];
  isFolded: boolean;
  isActive: boolean;
  isSelected: boolean;
  isHit: boolean | null; // null: nothing is searched for
  isSuspect: boolean; // the first root cause cites it
  onToggle: () => void;
}

export function rowId(position: number): string {
  return `waterfall-row-${position}`;
}

// Of the width, for a label to stand beside a bar.
const ROOM = 20;

// The label goes where there is more room, behind the bar or in front of it, and never onto it: where
// there is none the row's marks and the span's details say it.
function labelPlace(bar: { left: number; width: number }): Record<string, string> | null {
  const before = Math.min(100, bar.left);
  const behind = 100 - Math.max(0, bar.left + bar.width);
  const room = Math.max(before, behind);
  if (room < ROOM) return null;
  return { [behind >= before ? "left" : "right"]: `${100 - room}%`, maxWidth: `calc(${room}% - 16px)` };
}

function Timeline(props: RowProps) {
  const { item, shown, adjusted, nowNs, services } = props;
  const bar = place(interval(item, adjusted, nowNs), shown);
  if (bar === null) return null;
  const label = labelPlace(bar);
  const box = { left: `${bar.left}%`, width: `${bar.width}%` };
  if (item.kind === "gap") {
    return (
      <>
        <div class="gap-bar" style={box} />
        {label && <div class="bar-label" style={label}>{duration(item.gap.gap_ns)}, no span</div>}
      </>
    );
  }
  const { span, diagnosed } = item;
  const reason = diagnosed?.anomaly_reason ?? (isBad(span.status) ? span.status : null);
  return (
    <>
      <div class={`bar-span ${serviceClass(services, span.service)} ${span.status}`} style={box} title={reason ?? undefined} />
      {item.path.map((part) => {
        const at = place(part, shown);
        return at && <div key={part.from} class="path-part" style={{ left: `${at.left}%`, width: `${at.width}%` }} />;
      })}
      {reason !== null && label && <div class="bar-label" style={label}>{reason}</div>}
    </>
  );
}

function spanDuration(item: SpanItem, nowNs: number): string {
  if (item.span.status !== "started") return duration(item.span.duration_ns);
  return `${duration(Math.max(0, nowNs - item.span.offset_ns))} …`;
}

function SpanName({ props, item }: { props: RowProps; item: SpanItem }) {
  const { span, diagnosed } = item;
  return (
    <>
      <span class={`chip ${serviceClass(props.services, span.service)}`} aria-hidden="true" />
      {props.isSuspect && <span class="suspect-mark" title="root cause"><span aria-hidden="true">◆</span><span class="hidden">root cause, </span></span>}
      {diagnosed?.is_anomaly && <span class="anomaly" title={diagnosed.anomaly_reason ?? undefined}><span aria-hidden="true">!</span><span class="hidden">anomaly, </span></span>}
      {span.status !== "completed" && <StatusMark status={span.status} />}
      <span class="operation">{span.operation}</span>
      <span class="service">{span.service}</span>
    </>
  );
}

function GapName({ item }: { item: GapItem }) {
  return (
    <>
      <span class="chip gap-chip" aria-hidden="true" />
      <span class="operation">gap {item.from} → {item.to}</span>
    </>
  );
}

export function Row(props: RowProps) {
  const { item, index, position } = props;
  const canFold = hasChildren(item, index);
  const names = ["row", item.kind];
  if (props.isActive) names.push("active");
  if (props.isSuspect) names.push("suspect");
  if (props.isSelected) names.push("selected");
  if (props.isHit !== null) names.push(props.isHit ? "hit" : "dimmed");
  return (
    <div
      role="row"
      id={rowId(position)}
      data-position={position}
      class={names.join(" ")}
      style={{ transform: `translateY(${props.top}px)` }}
      aria-level={item.depth + 1}
      aria-rowindex={position + 2}
      aria-expanded={canFold ? !props.isFolded : undefined}
      aria-selected={props.isSelected}
    >
      <div role="gridcell" class="name-cell" style={{ paddingLeft: `${0.25 + Math.min(item.depth, 24) * 0.75}rem` }}>
        <span
          class={`fold ${canFold ? "" : "leaf"}`}
          aria-hidden="true"
          onClick={(event) => { event.stopPropagation(); if (canFold) props.onToggle(); }}
        >
          {canFold ? (props.isFolded ? "▸" : "▾") : ""}
        </span>
        {item.kind === "span" ? <SpanName props={props} item={item} /> : <GapName item={item} />}
      </div>
      <div role="gridcell" class="duration-cell">
        {item.kind === "span" ? spanDuration(item, props.nowNs) : duration(item.gap.gap_ns)}
      </div>
      <div role="gridcell" class="time-cell"><Timeline {...props} /></div>
    </div>
  );
}
