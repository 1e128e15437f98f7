import { useState } from "preact/hooks";
import { setQuery } from "../app/router";
import { PRESETS } from "./timeRange";

interface Props {
  query: URLSearchParams;
  otherwise: string | null; // the preset without a choice; null: all times
}

export function TimeRangePicker({ query, otherwise }: Props) {
  const isOwn = query.has("from") || query.has("to");
  const [own, setOwn] = useState(isOwn);
  const chosen = own || isOwn ? "own" : (query.get("last") ?? otherwise ?? "");
  const choose = (value: string) => {
    setOwn(value === "own");
    if (value !== "own") setQuery({ last: value === (otherwise ?? "") ? null : value, from: null, to: null, before: null, before_id: null });
  };
  const bound = (name: "from" | "to") => (
    <label>
      {name} (UTC)
      <input
        placeholder={name === "from" ? "2026-11-24 08:00Z" : "now"}
        value={query.get(name) ?? ""}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value.trim(), last: null, before: null, before_id: null })}
      />
    </label>
  );
  return (
    <>
      <label>
        time
        <select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
          {otherwise === null && <option value="">all times</option>}
          {PRESETS.map(([name, words]) => <option key={name} value={name}>last {words}</option>)}
          <option value="own">from … to …</option>
        </select>
      </label>
      {chosen === "own" && bound("from")}
      {chosen === "own" && bound("to")}
    </>
  );
}
