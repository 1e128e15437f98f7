import { durationMs, timeToSecond } from "../app/format";
import { Link } from "../app/router";
import { StatusMark, isBad } from "../parts/StatusMark";
import { type Column, Table } from "../parts/Table";
import type { Execution } from "../types";

// Up and down go from link to link; Enter is the link's own.
function moveFocus(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (step === 0) return;
  const table = event.currentTarget as HTMLElement;
  const links = [...table.querySelectorAll<HTMLAnchorElement>("tbody th a")];
  const at = links.findIndex((link) => link.closest("tr")?.contains(document.activeElement));
  links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
  event.preventDefault();
}

function columns(longest: number): Column<Execution>[] {
  return [
    { name: "Execution", kind: "short", cell: (row) => <Link href={`/executions/${row.execution_id}`}>{String(row.execution_id)}</Link> },
    { name: "Status", kind: "short", cell: (row) => <StatusMark status={row.status} /> },
    { name: "Started (UTC)", kind: "time", cell: (row) => timeToSecond(row.started_at) },
    {
      name: "Duration",
      kind: "number",
      cell: (row) => (
        <>
          {row.status === "started" ? "–" : durationMs(row.duration_ms)}
          <span class="meter" aria-hidden="true">
            <span style={{ width: `${(100 * (row.duration_ms ?? 0)) / longest}%` }} />
          </span>
        </>
      ),
    },
    { name: "Root", kind: "name", cell: (row) => row.root_operation ?? "–" },
    { name: "Services", cell: (row) => row.services.join(", ") },
    { name: "Job", cell: (row) => row.job_id ?? "–" },
    { name: "Model", cell: (row) => row.model_id ?? "–" },
    { name: "Region", cell: (row) => row.region ?? "–" },
    {
      name: "Spans",
      kind: "number",
      cell: (row) => (
        <>
          {row.failed_spans + row.timeout_spans > 0 && <span class="count-bad">{row.failed_spans + row.timeout_spans} bad of </span>}
          {row.spans}
        </>
      ),
    },
  ];
}

export function ExecutionTable({ rows }: { rows: Execution[] }) {
  const longest = Math.max(1, ...rows.map((row) => row.duration_ms ?? 0));
  return (
    <Table
      columns={columns(longest)}
      rows={rows}
      keyOf={(row) => String(row.execution_id)}
      rowClass={(row) => (isBad(row.status) ? "bad" : undefined)}
      onKeyDown={moveFocus}
    />
  );
}
