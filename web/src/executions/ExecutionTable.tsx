import { durationMs, timeToSecond } from "../app/format";
import { useKeys } from "../app/keys";
import { Link, navigate } from "../app/router";
import { StatusMark, isBad } from "../parts/StatusMark";
import { type Column, Table } from "../parts/Table";
import type { Execution, ListedCause } from "../types";

// Where a row is focused, the keys below move from it; they begin at the first from where nothing is.
function moveFocus(event: KeyboardEvent): void {
  const focused = document.activeElement;
  if (focused !== null && !focused.matches("body, main, h1, .executions tbody *")) return;
  const links = [...document.querySelectorAll<HTMLAnchorElement>(".executions tbody th a")];
  const at = links.findIndex((link) => link.closest("tr")?.contains(focused));
  const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 };
  const next = to[event.key];
  if (next === undefined || links.length === 0) return;
  links[Math.min(links.length - 1, Math.max(0, next))]!.focus();
  event.preventDefault();
}

function addressOf(row: Execution): string {
  return `/executions/${row.execution_id}`;
}

function words(cause: ListedCause): string {
  const where = cause.affected_service ?? cause.affected_operation;
  return cause.root_cause_type + (where === null ? "" : ` in ${where.replaceAll("->", "→")}`);
}

function CauseCell({ row, cause }: { row: Execution; cause: ListedCause | null | undefined }) {
  if (row.status === "completed" || cause === null) return <>–</>;
  if (cause === undefined) return <span class="quiet">…</span>;
  const said = words(cause);
  return <span title={`${said}, confidence ${cause.confidence.toFixed(2)}`}><Link href={addressOf(row)}>{said}</Link></span>;
}

function columns(longest: number, causeOf: Props["causeOf"]): Column<Execution>[] {
  return [
    { name: "Execution", kind: "short", cell: (row) => <Link href={addressOf(row)}>{String(row.execution_id)}</Link> },
    { name: "Status", kind: "short", cell: (row) => <StatusMark status={row.status} /> },
    { name: "Cause", kind: "why", cell: (row) => <CauseCell row={row} cause={causeOf(row)} /> },
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
    { name: "Services", kind: "services", cell: (row) => row.services.join(", ") },
    { name: "Job", cell: (row) => row.job_id ?? "–" },
    { name: "Model", cell: (row) => row.model_id ?? "–" },
    { name: "Region", cell: (row) => row.region ?? "–" },
    {
      name: "Spans",
      kind: "number",
      cell: (row) => (
        <>
          {row.failed_spans + row.timeout_spans > 0 && <span class="count-bad">{row.failed_spans + row.timeout_spans} failed of </span>}
          {row.spans}
        </>
      ),
    },
  ];
}

interface Props {
  rows: Execution[];
  causeOf: (row: Execution) => ListedCause | null | undefined; // undefined: not known yet
}

export function ExecutionTable({ rows, causeOf }: Props) {
  useKeys(moveFocus);
  const longest = Math.max(1, ...rows.map((row) => row.duration_ms ?? 0));
  return (
    <div class="executions">
      <Table
        columns={columns(longest, causeOf)}
        rows={rows}
        keyOf={(row) => String(row.execution_id)}
        rowClass={(row) => (isBad(row.status) ? "bad" : undefined)}
        onRow={(row) => navigate(addressOf(row))}
      />
    </div>
  );
}
