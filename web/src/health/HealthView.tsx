// What is stored, what was lost, who writes.
import { bytes, count, timeToSecond } from "../app/format";
import { useAnswer } from "../app/useAnswer";
import { Failure } from "../parts/Failure";
import { type Column, Table } from "../parts/Table";
import type { HealthAnswer, Partition, Writer } from "../types";

const LIVE_MS = 15000;

function reasons(drops: Record<string, number>): string {
  return Object.entries(drops).map(([reason, spans]) => `${reason} ${count(spans)}`).join(", ");
}

function writerState(writer: Writer): string {
  if (writer.recovered_at !== null) return `recovered ${timeToSecond(writer.recovered_at)}`;
  if (writer.stopped_at !== null) return `ended ${timeToSecond(writer.stopped_at)}`;
  return "writes";
}

const WRITER_COLUMNS: Column<Writer>[] = [
  { name: "Service", cell: (row) => row.service },
  { name: "Host, process", cell: (row) => `${row.host ?? "–"} ${row.pid ?? ""}` },
  { name: "State", kind: "short", cell: writerState },
  { name: "Last seen (UTC)", kind: "time", cell: (row) => timeToSecond(row.last_seen_at) },
  { name: "Started", kind: "number", cell: (row) => count(row.spans_started) },
  { name: "Persisted", kind: "number", cell: (row) => count(row.spans_persisted) },
  {
    name: "Dropped",
    kind: "number",
    cell: (row) => (row.spans_dropped === 0 ? "0" : <span class="count-bad">{count(row.spans_dropped)} ({reasons(row.drops)})</span>),
  },
  { name: "Version", cell: (row) => row.version ?? "–" },
];

function partitionColumns(largest: number): Column<Partition>[] {
  return [
    { name: "Partition", kind: "name", cell: (row) => row.partition_name },
    { name: "From (UTC)", kind: "time", cell: (row) => (row.is_default ? "days without one" : timeToSecond(row.starts_at).slice(0, 10)) },
    { name: "Rows, estimated", kind: "number", cell: (row) => (row.estimated_rows ? count(row.estimated_rows) : <span class="quiet" title="PostgreSQL has not counted it yet: ANALYZE does">unknown</span>) },
    {
      name: "Size",
      kind: "number",
      cell: (row) => (
        <>
          {bytes(row.total_bytes)}
          <span class="meter" aria-hidden="true"><span style={{ width: `${(100 * row.total_bytes) / largest}%` }} /></span>
        </>
      ),
    },
  ];
}

export function HealthView() {
  const { data, error, loading, reload } = useAnswer<HealthAnswer>("health", LIVE_MS);
  const health = data?.health;
  const figures: [string, string][] = health === undefined ? [] : [
    ["spans", count(health.total_spans)],
    ["last hour", count(health.spans_last_hour)],
    ["last 24 h", count(health.spans_last_24h)],
    ["traces", count(health.unique_traces)],
    ...(health.spans_sampled_out > 0 ? [["sampled out", count(health.spans_sampled_out)] as [string, string]] : []),
    ["open", count(health.open_spans)],
    ["failed", count(health.failed_spans)],
    ["timed out", count(health.timeout_spans)],
    ["size", bytes(health.total_bytes)],
    ["writers", `${count(health.writers_active)} of ${count(health.writers_seen)} active`],
    ["last span (UTC)", timeToSecond(health.last_span_at)],
  ];
  return (
    <>
      <h1>Health</h1>
      <Failure error={error} retry={reload} />
      {data === null && loading && <p class="quiet" role="status">Asking …</p>}
      {data !== null && health !== undefined && (
        <>
          {health.spans_dropped > 0 ? (
            <p class="warning" role="status"><strong>{count(health.spans_dropped)} spans were dropped</strong>: {reasons(health.drops_by_reason)}</p>
          ) : (
            <p class="card fine">No span was dropped.</p>
          )}
          <dl class="facts figures">
            {figures.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
          </dl>
          <h2>Writers</h2>
          {data.writers.length === 0 ? <p class="empty">No writer yet.</p> : (
            <Table columns={WRITER_COLUMNS} rows={data.writers} keyOf={(row) => row.writer_id} />
          )}
          <h2>Partitions</h2>
          <Table
            columns={partitionColumns(Math.max(1, ...data.partitions.map((row) => row.total_bytes)))}
            rows={data.partitions}
            keyOf={(row) => row.partition_name}
          />
        </>
      )}
    </>
  );
}
