import { durationMs, timeToSecond } from "../app/format";
import { Link } from "../app/router";
import { StatusMark, isBad } from "../parts/StatusMark";
import { type Column, Table } from "../parts/Table";
import type { SimilarExecution } from "../types";

function columns(id: string): Column<SimilarExecution>[] {
  return [
    { name: "Execution", kind: "short", cell: (row) => <Link href={`/executions/${row.similar_execution_id}`}>{String(row.similar_execution_id)}</Link> },
    { name: "Similarity", kind: "number", cell: (row) => row.similarity_score.toFixed(2) },
    { name: "Status", kind: "short", cell: (row) => <StatusMark status={row.status} /> },
    { name: "Duration", kind: "number", cell: (row) => durationMs(row.total_duration_ms) },
    { name: "Started (UTC)", kind: "time", cell: (row) => timeToSecond(row.started_at) },
    { name: "Failed at", cell: (row) => row.failure_point ?? "–" },
    {
      name: "Differences",
      cell: (row) => (
        <Link href={`/executions/${encodeURIComponent(id)}/compare/${row.similar_execution_id}`} label={`Compare ${id} with ${row.similar_execution_id}`}>
          compare
        </Link>
      ),
    },
  ];
}

export function Similar({ id, executions }: { id: string; executions: SimilarExecution[] }) {
  if (executions.length === 0) return null;
  return (
    <section aria-labelledby="similar-title">
      <h2 id="similar-title">Similar executions</h2>
      <Table
        columns={columns(id)}
        rows={executions}
        keyOf={(row) => String(row.similar_execution_id)}
        rowClass={(row) => (isBad(row.status) ? "bad" : undefined)}
      />
    </section>
  );
}
