// How long operations take, and since when.
import { useMemo, useState } from "preact/hooks";
import { queryString } from "../app/api";
import { count, durationMs, percent } from "../app/format";
import { setQuery, useLocation } from "../app/router";
import { useAnswer } from "../app/useAnswer";
import { Failure } from "../parts/Failure";
import { type Column, Table } from "../parts/Table";
import { TimeRangePicker } from "../parts/TimeRangePicker";
import { timeRange } from "../parts/timeRange";
import type { Operations, OperationTime } from "../types";
import { Plot } from "./Plot";

const ORDERS: Record<string, (row: OperationTime) => number> = {
  spans: (row) => row.spans,
  failures: (row) => row.failed + row.timeouts,
  p50: (row) => row.p50_ms ?? -1,
  p95: (row) => row.p95_ms ?? -1,
  p99: (row) => row.p99_ms ?? -1,
};
const DEFAULT_RANGE = "24h";
const DEFAULT_SORT = "p95";
// Names with ids in them make thousands of operations.
const SHOWN = 100;

function keyOf(row: OperationTime): string {
  return `${row.service} ${row.operation}`;
}

function Failures({ row }: { row: OperationTime }) {
  const failures = row.failed + row.timeouts;
  if (failures === 0) return <>0</>;
  return (
    <span class="count-bad" title={`${count(row.failed)} failed, ${count(row.timeouts)} timed out`}>
      {count(failures)} ({percent(failures, row.spans)})
    </span>
  );
}

function columns(sort: string, chosen: OperationTime | undefined): Column<OperationTime>[] {
  const sortable = (name: string, by: string, cell: Column<OperationTime>["cell"]): Column<OperationTime> => ({
    name,
    kind: "number",
    cell,
    sort: sort === by ? "descending" : "none",
    head: (
      <button type="button" class="sort" onClick={() => setQuery({ sort: by === DEFAULT_SORT ? null : by })}>
        {name}<span aria-hidden="true">{sort === by ? " ▾" : ""}</span>
      </button>
    ),
  });
  return [
    {
      name: "Operation",
      kind: "name",
      cell: (row) => (
        <button type="button" class="link" aria-pressed={row === chosen} onClick={() => setQuery({ operation: keyOf(row) })}>{row.operation}</button>
      ),
    },
    { name: "Service", cell: (row) => row.service },
    sortable("Spans", "spans", (row) => count(row.spans)),
    sortable("Failures", "failures", (row) => <Failures row={row} />),
    sortable("p50", "p50", (row) => durationMs(row.p50_ms)),
    sortable("p95", "p95", (row) => durationMs(row.p95_ms)),
    sortable("p99", "p99", (row) => durationMs(row.p99_ms)),
  ];
}

export function OperationsView() {
  const { query } = useLocation();
  const [showAll, setShowAll] = useState(false);
  const asked = ["last", "from", "to", "service"].map((name) => query.get(name) ?? "").join("|");
  const path = useMemo(() => {
    const { from, to } = timeRange(query, DEFAULT_RANGE);
    return `operations${queryString({ from: from ?? "-infinity", to: to ?? "now", service: query.get("service") })}`;
  }, [asked]);
  const { data, error, loading, reload } = useAnswer<Operations>(path);
  const sort = query.get("sort") ?? DEFAULT_SORT;
  const rows = useMemo(() => {
    const by = ORDERS[sort] ?? ORDERS[DEFAULT_SORT]!;
    return (data?.operations ?? []).filter((row) => row.starts_at === null).sort((a, b) => by(b) - by(a));
  }, [data, sort]);
  const chosen = rows.find((row) => keyOf(row) === query.get("operation")) ?? rows[0];
  const series = useMemo(
    () => (data?.operations ?? []).filter((row) => row.starts_at !== null && chosen !== undefined && keyOf(row) === keyOf(chosen)),
    [data, chosen],
  );
  return (
    <>
      <h1>Operations</h1>
      <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          service
          <input value={query.get("service") ?? ""} onChange={(event) => setQuery({ service: event.currentTarget.value.trim() })} />
        </label>
        <TimeRangePicker query={query} otherwise={DEFAULT_RANGE} />
      </form>
      <Failure error={error} retry={reload} />
      {data === null && loading && <p class="quiet" role="status">Asking …</p>}
      {chosen !== undefined && <Plot operation={chosen} series={series} />}
      {data !== null && rows.length === 0 && <p class="empty">No span in this time.</p>}
      {rows.length > 0 && (
        <Table
          columns={columns(sort, chosen)}
          rows={showAll ? rows : rows.slice(0, SHOWN)}
          keyOf={keyOf}
          rowClass={(row) => (row === chosen ? "chosen" : undefined)}
        />
      )}
      {!showAll && rows.length > SHOWN && (
        <p><button type="button" onClick={() => setShowAll(true)}>Show all {count(rows.length)}</button></p>
      )}
      <p class="quiet">Hours and days count whole; quantiles are within 1 %.</p>
    </>
  );
}
