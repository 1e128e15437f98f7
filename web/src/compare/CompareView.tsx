// Two executions side by side: what took longer, and what happened in one of them only.
import { differenceMs, durationMs, timeToSecond } from "../app/format";
import { Link } from "../app/router";
import { useAnswer } from "../app/useAnswer";
import { Failures } from "../parts/Failure";
import { StatusMark } from "../parts/StatusMark";
import { type Column, Table } from "../parts/Table";
import type { ComparedOperation, Comparison, Execution } from "../types";
import { ComparedSpans } from "./ComparedSpans";

function Side({ name, id, execution }: { name: string; id: string; execution: Execution | null }) {
  return (
    <div class="card side">
      <h2><span class={`side-mark ${name}`}>{name.toUpperCase()}</span> <Link href={`/executions/${encodeURIComponent(id)}`}>{id}</Link></h2>
      {execution === null ? <p>not among the executions</p> : (
        <p>
          <StatusMark status={execution.status} /> {durationMs(execution.duration_ms)}
          <br />
          <span class="quiet">{timeToSecond(execution.started_at)} UTC, {execution.spans} spans</span>
          <br />
          <span class="quiet">{[execution.job_id, execution.model_id, execution.region].filter((part) => part !== null).join(", ")}</span>
        </p>
      )}
    </div>
  );
}

const COLUMNS: Column<ComparedOperation>[] = [
  { name: "Operation", kind: "name", cell: (row) => row.operation },
  { name: "Service", cell: (row) => row.service },
  { name: "Own time A", kind: "number", cell: (row) => (row.spans_a === 0 ? "not in A" : durationMs(row.self_time_a_ms)) },
  { name: "Own time B", kind: "number", cell: (row) => (row.spans_b === 0 ? "not in B" : durationMs(row.self_time_b_ms)) },
  { name: "B − A", kind: "number", cell: (row) => differenceMs(row.difference_ms) },
  { name: "Spans A, B", kind: "number", cell: (row) => `${row.spans_a}, ${row.spans_b}` },
  { name: "Failed A, B", kind: "number", cell: (row) => `${row.failures_a}, ${row.failures_b}` },
];

function OperationTable({ operations }: { operations: ComparedOperation[] }) {
  return (
    <section aria-labelledby="operations-title">
      <h2 id="operations-title">Operations, by difference of own time</h2>
      <Table columns={COLUMNS} rows={operations} keyOf={(row) => `${row.service} ${row.operation}`} />
    </section>
  );
}

export function CompareView({ a, b }: { a: string; b: string }) {
  const { data, error, loading, reload } = useAnswer<Comparison>(
    `executions/${encodeURIComponent(a)}/compare/${encodeURIComponent(b)}`,
  );
  const missing = data === null ? [] : [
    ...(data.spans.some((span) => span.presence !== "b") ? [] : [a]),
    ...(data.spans.some((span) => span.presence !== "a") ? [] : [b]),
  ];
  return (
    <>
      <div class="bar">
        <h1>{a} and {b}</h1>
        <Link href={`/executions/${encodeURIComponent(b)}/compare/${encodeURIComponent(a)}`} class="button">Swap</Link>
      </div>
      <Failures of={[{ error, reload }]}><Link href="/executions">All executions</Link></Failures>
      {data === null && loading && <p class="quiet" role="status">Comparing …</p>}
      {data !== null && (
        <>
          <div class="sides">
            <Side name="a" id={a} execution={data.a} />
            <Side name="b" id={b} execution={data.b} />
          </div>
          {missing.length > 0 ? (
            <p class="empty" role="status">
              There is nothing to compare: no span of {[...new Set(missing)].join(" or ")} is stored
              here. <Link href="/executions">All executions</Link>
            </p>
          ) : (
            <>
              <ComparedSpans spans={data.spans} />
              <OperationTable operations={data.operations} />
            </>
          )}
        </>
      )}
    </>
  );
}
