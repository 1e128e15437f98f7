// A table whose rows become cards where the window is narrow: each cell knows its column's name. The
// first column names the row.
import type { ComponentChildren } from "preact";

export interface Column<Row> {
  name: string;
  // short: never cut; why and services: as a view says.
  kind?: "number" | "time" | "name" | "short" | "why" | "services";
  cell: (row: Row) => ComponentChildren;
  // What stands in the head instead of the name.
  head?: ComponentChildren;
  sort?: "descending" | "none";
}

interface Props<Row> {
  columns: Column<Row>[];
  rows: Row[];
  keyOf: (row: Row) => string;
  rowClass?: (row: Row) => string | undefined;
  // A click anywhere in a row, for the pointer only: a link in it does the same.
  onRow?: (row: Row) => void;
}

// What is a link's or a button's stays theirs, and who marks text does not click.
function isOwnClick(event: MouseEvent): boolean {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
  if (window.getSelection()?.type === "Range") return false;
  return (event.target as Element).closest("a, button") === null;
}

export function Table<Row>({ columns, rows, keyOf, rowClass, onRow }: Props<Row>) {
  return (
    <div class="table-box">
      <table class={`cards ${onRow ? "leads" : ""}`}>
        <thead>
          <tr>
            {columns.map(({ name, kind, head, sort }) => (
              <th key={name} scope="col" class={kind} aria-sort={sort}>{head ?? name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} class={rowClass?.(row)} onClick={onRow && ((event) => isOwnClick(event) && onRow(row))}>
              {columns.map(({ name, kind, cell }, index) => {
                const content = cell(row);
                const title = typeof content === "string" ? content : undefined;
                return index === 0 ? (
                  <th key={name} scope="row" class={kind} title={title}>{content}</th>
                ) : (
                  <td key={name} class={kind} title={title} data-label={name}>{content}</td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
