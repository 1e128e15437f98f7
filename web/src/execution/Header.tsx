import type { ComponentChildren } from "preact";
import { queryString } from "../app/api";
import { duration, durationMs, time, traceId } from "../app/format";
import { Link } from "../app/router";
import { StatusMark } from "../parts/StatusMark";
import type { Execution, Span } from "../types";

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

// A name that leads to all executions that have it.
function Same({ filter, value }: { filter: string; value: string | null }) {
  if (value === null) return <>–</>;
  return <Link href={`/executions${queryString({ [filter]: value })}`}>{value}</Link>;
}

interface Props {
  id: string;
  execution: Execution | null;
  first: Span | null;
}

export function Header({ id, execution, first }: Props) {
  const about = execution ?? first;
  return (
    <header class="execution">
      <h1>Execution {id} {about && <StatusMark status={about.status} />}</h1>
      {about && (
        <dl class="facts">
          <Fact name="took">{about.status === "started" ? "still open" : execution ? durationMs(execution.duration_ms) : duration(first?.duration_ns ?? null)}</Fact>
          <Fact name="started (UTC)">{time(about.started_at)}</Fact>
          <Fact name="root">{execution?.root_operation ?? first?.operation ?? "–"}</Fact>
          <Fact name="job"><Same filter="job" value={about.job_id} /></Fact>
          <Fact name="model"><Same filter="model" value={about.model_id} /></Fact>
          <Fact name="region"><Same filter="region" value={about.region} /></Fact>
          {execution && <Fact name="spans">{execution.spans}{execution.failed_spans + execution.timeout_spans > 0 && <span class="count-bad"> {execution.failed_spans + execution.timeout_spans} failed</span>}</Fact>}
          <Fact name="trace"><Link href={`/traces/${traceId(about.trace_id)}`}><code>{traceId(about.trace_id)}</code></Link></Fact>
        </dl>
      )}
    </header>
  );
}
