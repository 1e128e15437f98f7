// What calls between services spent between the services.
import { useMemo, useState } from "preact/hooks";
import { count, duration } from "../app/format";
import { type Column, Table } from "../parts/Table";
import type { NetworkCall } from "../types";

// A large trace has thousands; those that took longest come first.
const SHOWN = 20;
const MORE = 100;

interface Props {
  calls: NetworkCall[];
  adjusted: boolean;
  onSelect: (spanId: string) => void;
}

function columns(hasNotes: boolean, adjusted: boolean, onSelect: Props["onSelect"]): Column<NetworkCall>[] {
  const link = (id: string, operation: string, service: string) => (
    <>
      <button type="button" class="link" onClick={() => onSelect(id)}>{operation}</button> <span class="quiet">{service}</span>
    </>
  );
  const notes: Column<NetworkCall>[] = hasNotes ? [{ name: "Note", cell: (row) => row.note ?? "–" }] : [];
  return [
    { name: "Caller", kind: "name", cell: (row) => link(row.client_span_id, row.client_operation, row.client_service) },
    { name: "Callee", kind: "name", cell: (row) => link(row.server_span_id, row.server_operation, row.server_service) },
    { name: "Caller took", kind: "number", cell: (row) => duration(row.client_ns) },
    { name: "Callee took", kind: "number", cell: (row) => duration(row.server_ns) },
    { name: "Network", kind: "number", cell: (row) => duration(row.network_ns) },
    { name: "Request", kind: "number", cell: (row) => duration(adjusted ? row.adjusted_request_ns : row.request_ns) },
    { name: "Response", kind: "number", cell: (row) => duration(adjusted ? row.adjusted_response_ns : row.response_ns) },
    ...notes,
  ];
}

export function Network({ calls, adjusted, onSelect }: Props) {
  const [shown, setShown] = useState(SHOWN);
  const sorted = useMemo(() => [...calls].sort((a, b) => (b.network_ns ?? -1) - (a.network_ns ?? -1)), [calls]);
  if (calls.length === 0) return null;
  const inSight = sorted.slice(0, shown);
  const hasNotes = inSight.some((row) => row.note !== null);
  return (
    <section aria-labelledby="network-title">
      <h2 id="network-title">Between services</h2>
      <p class="quiet">
        Network is what the caller took beyond the callee, whatever their clocks say. How it splits into request and
        response depends on the clocks: here {adjusted ? "as adjusted, a guess" : "as recorded, and negative where they are apart"}.
      </p>
      <Table columns={columns(hasNotes, adjusted, onSelect)} rows={inSight} keyOf={(row) => `${row.client_row} ${row.server_row}`} />
      {sorted.length > shown && (
        <p><button type="button" onClick={() => setShown(shown + MORE)}>Show more of {count(sorted.length)} calls</button></p>
      )}
    </section>
  );
}
