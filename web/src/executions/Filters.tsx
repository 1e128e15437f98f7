import { setQuery } from "../app/router";
import { TimeRangePicker } from "../parts/TimeRangePicker";

// As the API names them.
export const FILTERS = ["status", "job", "model", "region", "service", "min_duration_ms"] as const;

const TEXTS: [string, string][] = [
  ["service", "service"],
  ["job", "job"],
  ["model", "model"],
  ["region", "region"],
];

export function Filters({ query }: { query: URLSearchParams }) {
  // Another question begins at its newest row again.
  const change = (name: string, value: string) => setQuery({ [name]: value.trim(), before: null, before_id: null });
  return (
    <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      <label>
        status
        <select value={query.get("status") ?? ""} onChange={(event) => change("status", event.currentTarget.value)}>
          <option value="">any</option>
          <option value="failed,timeout">failed or timeout</option>
          <option value="failed">failed</option>
          <option value="timeout">timeout</option>
          <option value="completed">completed</option>
          <option value="started">open</option>
        </select>
      </label>
      {TEXTS.map(([name, words]) => (
        <label key={name}>
          {words}
          <input value={query.get(name) ?? ""} onChange={(event) => change(name, event.currentTarget.value)} />
        </label>
      ))}
      <label>
        at least, ms
        <input type="number" min="0" step="1" value={query.get("min_duration_ms") ?? ""} onChange={(event) => change("min_duration_ms", event.currentTarget.value)} />
      </label>
      <TimeRangePicker query={query} otherwise={null} />
    </form>
  );
}
