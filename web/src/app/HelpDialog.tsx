import { useEffect, useRef } from "preact/hooks";

const KEYS: [string, string][] = [
  ["/", "search in this view"],
  ["Enter", "in lists: open; in the waterfall: details of the span; in its search: the next hit"],
  ["Esc", "close details, leave a box"],
  ["↑ ↓ Home End", "move through the rows of a list, or of the waterfall once it is clicked or reached by Tab; there Page↑ and Page↓, too"],
  ["→ ←", "in the waterfall: unfold, fold, go to the parent"],
  ["Shift ← →", "in the waterfall: move along the time axis"],
  ["+ − 0", "in the waterfall: zoom in, out, all of it"],
  ["Ctrl + wheel, drag", "zoom at the pointer, move along; dragging on the axis, or on the strip above it, zooms into what was marked"],
  ["?", "this help"],
];

const MARKS: [string, string][] = [
  ["bar", "a span, in its service's colour; beside it, where there is room, why it is an anomaly"],
  ["◆", "the first root cause names this span"],
  ["dark line below", "critical path: what the execution waited for"],
  ["hatched", "a gap between services that no span covers"],
  ["!", "an anomaly; the details say why"],
  ["✕ ◷", "failed, timed out"],
  ["dashed end", "still open, grows"],
];

export function HelpDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="help-title">
      <h2 id="help-title">Keys and marks</h2>
      <dl class="help">
        {[...KEYS, ...MARKS].map(([what, meaning]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <p>Times are UTC.</p>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
