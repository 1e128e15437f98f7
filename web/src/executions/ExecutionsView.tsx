// The newest executions. All that is chosen stands in the URL.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { queryString } from "../app/api";
import { Link, navigate, setQuery, useLocation } from "../app/router";
import { useAnswer } from "../app/useAnswer";
import { Failure } from "../parts/Failure";
import { timeRange } from "../parts/timeRange";
import type { Execution, ExecutionPage } from "../types";
import { ExecutionTable } from "./ExecutionTable";
import { FILTERS, Filters } from "./Filters";
import { useCauses } from "./useCauses";

const LIVE_MS = 5000;
const PAGE = 50;

function usePath(query: URLSearchParams, tick: number): string {
  // A relative range moves with each tick of the live refresh.
  return useMemo(() => {
    const asked: Record<string, string | number | null> = { limit: PAGE, ...timeRange(query, null) };
    for (const name of [...FILTERS, "before", "before_id"]) asked[name] = query.get(name);
    return `executions${queryString(asked)}`;
  }, [query, tick]);
}

function isBad(row: Execution): boolean {
  return row.status === "failed" || row.status === "timeout";
}

export function ExecutionsView() {
  const { query } = useLocation();
  const [paused, setPaused] = useState(false);
  const [tick, setTick] = useState(0);
  const isOlder = query.has("before");
  const isLive = !paused && !isOlder;
  const isRelative = query.has("last");
  const path = usePath(query, tick);
  const { data, error, loading, reload } = useAnswer<ExecutionPage>(
    path,
    isLive && !isRelative ? LIVE_MS : null,
  );
  const isAsking = useRef(false);
  isAsking.current = loading;
  useEffect(() => {
    if (!isLive || !isRelative) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible" && !isAsking.current) setTick((old) => old + 1);
    }, LIVE_MS);
    return () => clearInterval(timer);
  }, [isLive, isRelative]);

  const heading = useRef<HTMLHeadingElement>(null);
  const newestFirst = data?.executions ?? [];
  const failedFirst = query.get("order") === "failed";
  const rows = useMemo(
    () => (failedFirst ? [...newestFirst.filter(isBad), ...newestFirst.filter((row) => !isBad(row))] : newestFirst),
    [data, failedFirst],
  );
  const causeOf = useCauses(path, rows);
  const older = () => {
    const last = newestFirst.at(-1);
    if (last === undefined) return;
    setQuery({ before: last.started_at, before_id: String(last.execution_id) }, false);
    heading.current?.focus();
  };
  const onlyBad = query.get("status") === "failed,timeout";

  return (
    <>
      <div class="bar">
        <h1 ref={heading} tabIndex={-1}>Executions</h1>
        <button type="button" aria-pressed={onlyBad} onClick={() => setQuery({ status: onlyBad ? null : "failed,timeout", before: null, before_id: null }, false)}>
          Failed only
        </button>
        <button type="button" aria-pressed={failedFirst} title="Of this page, those that failed or timed out come first" onClick={() => setQuery({ order: failedFirst ? null : "failed" }, false)}>
          Failed first
        </button>
        {isOlder ? (
          <button type="button" onClick={() => setQuery({ before: null, before_id: null }, false)}>Newest</button>
        ) : (
          <button type="button" aria-pressed={!paused} onClick={() => setPaused(!paused)}>
            {paused ? "Paused" : "Live, every 5 s"}
          </button>
        )}
        <span class="quiet" aria-hidden="true">{loading && data === null ? "asking …" : ""}</span>
      </div>
      <Filters query={query} />
      <Failure error={error} retry={reload} />
      {data !== null && rows.length === 0 && (
        <p class="empty">
          No execution matches. <button type="button" onClick={() => navigate("/executions")}>Show all</button>
        </p>
      )}
      {rows.length > 0 && <ExecutionTable rows={rows} causeOf={causeOf} />}
      {data?.has_more && rows.length > 0 && (
        <p class="bar"><button type="button" onClick={older}>Older</button></p>
      )}
      {data !== null && rows.length === 0 && !query.toString() && (
        <p class="quiet">Rows that no tracer wrote appear after trace_maintain(). <Link href="/health">Health</Link> says what is stored.</p>
      )}
    </>
  );
}
