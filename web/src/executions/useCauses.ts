// Why the executions of a list failed. The database computes a cause from all spans of an execution: the
// rows are there at once, their causes come behind, and only where a row changed are they asked for again.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "../app/api";
import type { Execution, ExecutionPage, ListedCause } from "../types";

type Causes = ReadonlyMap<string, ListedCause | null>;

function keyOf(row: Execution): string {
  return `${row.execution_id} ${row.status} ${row.spans} ${row.ended_at}`;
}

export function useCauses(path: string, rows: Execution[]): (row: Execution) => ListedCause | null | undefined {
  const [known, setKnown] = useState<Causes>(new Map());
  const isAsking = useRef(false);
  useEffect(() => {
    const unknown = rows.filter((row) => row.status !== "completed" && !known.has(keyOf(row)));
    if (unknown.length === 0 || isAsking.current) return;
    isAsking.current = true;
    ask<ExecutionPage>(`${path}&causes=true`).then(
      (page) => {
        isAsking.current = false;
        const found = page.executions.map((row): [string, ListedCause | null] => [keyOf(row), row.cause ?? null]);
        // What the list no longer had when it was asked again has none, or it would be asked for ever.
        const gone = unknown.map((row): [string, null] => [keyOf(row), null]);
        setKnown((old) => new Map([...old, ...gone, ...found]));
      },
      // The list itself says what is wrong, and with its next rows this is asked again.
      () => { isAsking.current = false; },
    );
  }, [rows, known]);
  return (row) => known.get(keyOf(row));
}
