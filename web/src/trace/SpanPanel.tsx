// All that is known about one span. Values are other programs' data: text, never markup.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { count, duration, durationMs, spanId, time, traceId } from "../app/format";
import { StatusMark } from "../parts/StatusMark";
import { serviceClass } from "../waterfall/colours";
import type { SpanItem } from "../waterfall/model";

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  if (children === null || children === undefined || children === "") return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}

function Attributes({ metadata }: { metadata: unknown }) {
  if (metadata === null || metadata === undefined) return null;
  // Any JSON may stand there, by other writers.
  const pairs: [string, unknown][] =
    typeof metadata === "object" && !Array.isArray(metadata) ? Object.entries(metadata) : [["value", metadata]];
  if (pairs.length === 0) return null;
  return (
    <>
      <h3>Attributes</h3>
      <dl class="facts column">
        {pairs.map(([name, value]) => <Fact key={name} name={name}><code class="value">{text(value)}</code></Fact>)}
      </dl>
    </>
  );
}

function Baseline({ item }: { item: SpanItem }) {
  const { diagnosed } = item;
  if (diagnosed === null) return null;
  return (
    <>
      <h3>Beside other executions</h3>
      <dl class="facts column">
        <Fact name="average">{diagnosed.baseline_ms === null ? null : `${durationMs(diagnosed.baseline_ms)} over ${count(diagnosed.baseline_samples)} spans`}</Fact>
        <Fact name="half took at most">{diagnosed.median_ms === null ? null : durationMs(diagnosed.median_ms)}</Fact>
        <Fact name="95 of 100 at most">{diagnosed.p95_ms === null ? null : durationMs(diagnosed.p95_ms)}</Fact>
        <Fact name="note">{diagnosed.baseline_note}</Fact>
      </dl>
    </>
  );
}

interface Props {
  item: SpanItem;
  services: string[];
  onClose: () => void;
  onSelect: (spanId: string) => void;
}

export function SpanPanel({ item, services, onClose, onSelect }: Props) {
  const { span, diagnosed } = item;
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    panel.current?.scrollTo(0, 0);
  }, [span.span_id]);
  return (
    <aside class="span-panel card" ref={panel} aria-labelledby="span-title" tabIndex={0}>
      <button type="button" class="close" onClick={onClose} aria-label="Close details" title="Close (Esc)">×</button>
      <h2 id="span-title">{span.operation}</h2>
      <p><span class={`chip ${serviceClass(services, span.service)}`} aria-hidden="true" /> {span.service} <StatusMark status={span.status} /></p>
      {diagnosed?.anomaly_reason && <p class="reason"><strong>Anomaly</strong> {diagnosed.anomaly_reason}</p>}
      {diagnosed?.outlier_reason && <p class="reason"><strong>Outlier</strong> {diagnosed.outlier_reason.replace(/^outlier: /, "")}{diagnosed.outlier_confidence !== null && `; confidence ${diagnosed.outlier_confidence.toFixed(2)}`}</p>}
      {(span.error_message !== null || span.error_type !== null) && (
        <div class="error-text">
          <strong>{span.error_type ?? "Error"}</strong>
          {span.error_message !== null && <pre tabIndex={0}>{span.error_message}</pre>}
        </div>
      )}
      <dl class="facts column">
        <Fact name="duration">{span.status === "started" ? "still open" : duration(span.duration_ns)}</Fact>
        <Fact name="own time">{span.self_time_ns === null ? null : duration(span.self_time_ns)}</Fact>
        <Fact name="starts at">+{duration(span.offset_ns)}</Fact>
        <Fact name="started (UTC)">{time(span.started_at)}</Fact>
        <Fact name="ended (UTC)">{span.completed_at === null ? null : time(span.completed_at)}</Fact>
        <Fact name="clock moved by">{span.shift_ns ? `${duration(span.shift_ns)}: ${span.shift_reason ?? ""}` : null}</Fact>
        <Fact name="span"><code>{spanId(span.span_id)}</code></Fact>
        <Fact name="parent">
          {span.parent_span_id === null ? "none" : span.is_orphan ? <><code>{spanId(span.parent_span_id)}</code>, which is not recorded</> : (
            <button type="button" class="link" onClick={() => onSelect(span.parent_span_id!)}><code>{spanId(span.parent_span_id)}</code></button>
          )}
        </Fact>
        <Fact name="trace"><code>{traceId(span.trace_id)}</code></Fact>
      </dl>
      <Attributes metadata={span.metadata} />
      <Baseline item={item} />
    </aside>
  );
}
