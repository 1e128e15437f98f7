// One trace by its id, whatever execution it belongs to, if any.
import type { ComponentChildren } from "preact";
import { count, duration, time, traceId } from "../app/format";
import { Link } from "../app/router";
import { Failure } from "../parts/Failure";
import { StatusMark, isBad } from "../parts/StatusMark";
import type { Id, Trace } from "../types";
import { DroppedSpans } from "./DroppedSpans";
import { Spans } from "./Spans";
import { useModel, useTrace } from "./useTrace";

// A trace may hold a whole batch job's.
const LINKS = 8;

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Executions({ ids }: { ids: Id[] }) {
  if (ids.length === 0) return <>none</>;
  return (
    <>
      {ids.slice(0, LINKS).map((id, at) => <>{at > 0 && ", "}<Link key={id} href={`/executions/${id}`}>{String(id)}</Link></>)}
      {ids.length > LINKS && ` and ${ids.length - LINKS} more`}
    </>
  );
}

function Facts({ trace }: { trace: Trace }) {
  const root = trace.spans[0]!;
  const ids = new Set<Id>();
  let bad = 0;
  let endNs = 0;
  for (const span of trace.spans) {
    if (span.execution_id !== null) ids.add(span.execution_id);
    if (isBad(span.status)) bad += 1;
    endNs = Math.max(endNs, span.offset_ns + (span.duration_ns ?? 0));
  }
  const isOpen = trace.spans.some((span) => span.status === "started");
  return (
    <dl class="facts">
      <Fact name={ids.size > 1 ? "executions" : "execution"}><Executions ids={[...ids]} /></Fact>
      <Fact name="took">{isOpen ? "still open" : duration(endNs)}</Fact>
      <Fact name="started (UTC)">{time(root.started_at)}</Fact>
      <Fact name="root">{root.operation}</Fact>
      <Fact name="spans">{count(trace.spans.length)}{bad > 0 && <span class="count-bad"> {count(bad)} failed</span>}</Fact>
    </dl>
  );
}

export function TraceView({ id }: { id: string }) {
  const { trace, error, loading, reload } = useTrace(`traces/${encodeURIComponent(id)}`);
  const { model, adjusted } = useModel(trace, undefined);
  return (
    <>
      <header class="execution">
        <h1>Trace <code>{traceId(trace?.trace_ids[0] ?? id)}</code> {trace && <StatusMark status={trace.spans[0]!.status} />}</h1>
        {trace !== null && <Facts trace={trace} />}
      </header>
      {error?.status === 404 ? (
        <div class="failure" role="alert">
          <span>
            No span of this trace is stored here. It may be younger than its writer's next batch, older than what is
            kept, or in another database: <Link href="/health">Health</Link> says who writes here and since when.
          </span>
          <button type="button" onClick={reload}>Try again</button>
        </div>
      ) : <Failure error={error} retry={reload} />}
      {trace !== null && <DroppedSpans trace={trace} />}
      {trace === null && loading && <p class="quiet" role="status">Fetching spans …</p>}
      {model !== null && <Spans model={model} adjusted={adjusted} />}
    </>
  );
}
