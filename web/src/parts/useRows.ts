// Which rows of a long list are in sight: only those exist as elements. All rows are equally high.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

// Beyond the edges, so that a quick scroll does not show holes before the next frame.
const OVERSCAN = 8;

export interface Rows {
  ref: { current: HTMLDivElement | null };
  first: number;
  last: number; // behind the last
  onScroll: () => void;
  reveal: (index: number) => void;
  perPage: number;
}

export function useRows(count: number, rowHeight: number, headHeight: number): Rows {
  const ref = useRef<HTMLDivElement | null>(null);
  const [range, setRange] = useState({ first: 0, last: Math.min(count, 60), perPage: 20 });

  const measure = useCallback(() => {
    const box = ref.current;
    if (box === null) return;
    const perPage = Math.max(1, Math.floor((box.clientHeight - headHeight) / rowHeight));
    const top = Math.floor(box.scrollTop / rowHeight);
    const first = Math.max(0, top - OVERSCAN);
    const last = Math.min(count, top + perPage + 2 + OVERSCAN);
    setRange((old) =>
      old.first === first && old.last === last && old.perPage === perPage ? old : { first, last, perPage },
    );
  }, [count, rowHeight, headHeight]);

  useLayoutEffect(measure, [measure]);
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    if (ref.current !== null) observer.observe(ref.current);
    return () => observer.disconnect();
  }, [measure]);

  const reveal = useCallback(
    (index: number) => {
      const box = ref.current;
      if (box === null) return;
      const top = index * rowHeight;
      const room = box.clientHeight - headHeight - rowHeight;
      if (top < box.scrollTop) box.scrollTop = top;
      else if (top > box.scrollTop + room) box.scrollTop = top - room;
      measure();
    },
    [rowHeight, headHeight, measure],
  );

  return { ref, ...range, onScroll: measure, reveal };
}
