import type { Status } from "../types";

const MARKS: Record<Status, string> = { completed: "✓", failed: "✕", timeout: "◷", started: "…" };
const WORDS: Record<Status, string> = { completed: "completed", failed: "failed", timeout: "timeout", started: "open" };

export function isBad(status: Status | null): boolean {
  return status === "failed" || status === "timeout";
}

// The word and the sign say it, the colour repeats it.
export function StatusMark({ status }: { status: Status }) {
  return (
    <span class={`status ${status}`}>
      <span aria-hidden="true">{MARKS[status]} </span>
      {WORDS[status]}
    </span>
  );
}
