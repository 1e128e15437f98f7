// Which part of the time axis is shown, and the pointer's way to change it: Ctrl and the wheel zoom at
// the pointer, a sideways wheel and dragging move along, dragging on the axis zooms into what it marked.
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { around, inside, pan, zoom } from "./axis";
import type { Interval } from "./model";

// Below this a press is a click, in pixels.
const CLICK_PX = 4;

interface Drag {
  kind: "pan" | "mark";
  startX: number;
  from: Interval;
  moved: boolean;
}

export interface Axis {
  shown: Interval;
  isWhole: boolean;
  marked: Interval | null;
  zoomBy: (factor: number) => void;
  panBy: (share: number) => void;
  fit: () => void;
  show: (of: Interval) => void;
  bind: (element: HTMLElement | null) => void; // the scrolling box that has .time-cell and .axis
  wasDragged: () => boolean;
}

export function useAxis(whole: Interval): Axis {
  const [chosen, setChosen] = useState<Interval | null>(null);
  const [marked, setMarked] = useState<Interval | null>(null);
  const shown = useMemo(() => (chosen === null ? whole : inside(chosen, whole)), [chosen, whole]);
  const latest = useRef({ shown, whole });
  latest.current = { shown, whole };
  const drag = useRef<Drag | null>(null);
  const dragged = useRef(false);
  const unbind = useRef<(() => void) | null>(null);

  const change = useCallback((next: Interval) => {
    const { whole: all } = latest.current;
    const isAll = next.to - next.from >= (all.to - all.from) * 0.999999;
    // All of it goes on being all of it while the trace grows.
    setChosen(isAll ? null : next);
  }, []);

  const bind = useCallback((element: HTMLElement | null) => {
    unbind.current?.();
    unbind.current = null;
    if (element === null) return;
    const axis = () => element.querySelector<HTMLElement>(".axis")!.getBoundingClientRect();
    const timeAt = (x: number, of: Interval) => {
      const box = axis();
      return of.from + ((x - box.left) / Math.max(1, box.width)) * (of.to - of.from);
    };
    const wheel = (event: WheelEvent) => {
      const { shown: now, whole: all } = latest.current;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        change(zoom(now, all, Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.01), timeAt(event.clientX, now)));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        const px = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
        change(pan(now, all, (px / Math.max(1, axis().width)) * (now.to - now.from)));
      }
    };
    const down = (event: PointerEvent) => {
      dragged.current = false;
      const target = event.target as Element;
      if (event.button !== 0) return;
      const kind = target.closest(".axis") ? "mark" : target.closest(".time-cell") ? "pan" : null;
      if (kind === null) return;
      drag.current = { kind, startX: event.clientX, from: latest.current.shown, moved: false };
    };
    const move = (event: PointerEvent) => {
      const held = drag.current;
      if (held === null) return;
      const px = event.clientX - held.startX;
      if (!held.moved && Math.abs(px) < CLICK_PX) return;
      if (!held.moved) element.setPointerCapture(event.pointerId);
      held.moved = true;
      dragged.current = true;
      if (held.kind === "pan") {
        change(pan(held.from, latest.current.whole, (-px / Math.max(1, axis().width)) * (held.from.to - held.from.from)));
      } else {
        const ends = [timeAt(held.startX, held.from), timeAt(event.clientX, held.from)].sort((a, b) => a - b);
        setMarked({ from: ends[0]!, to: ends[1]! });
      }
    };
    const up = (event: PointerEvent) => {
      const held = drag.current;
      drag.current = null;
      setMarked(null);
      if (held?.kind !== "mark" || !held.moved || event.type === "pointercancel") return;
      const ends = [timeAt(held.startX, held.from), timeAt(event.clientX, held.from)].sort((a, b) => a - b);
      change(inside({ from: ends[0]!, to: ends[1]! }, latest.current.whole));
    };
    // Not passive: the browser would zoom the page.
    element.addEventListener("wheel", wheel, { passive: false });
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up);
    element.addEventListener("pointercancel", up);
    unbind.current = () => {
      element.removeEventListener("wheel", wheel);
      element.removeEventListener("pointerdown", down);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", up);
      element.removeEventListener("pointercancel", up);
    };
  }, [change]);
  useEffect(() => () => unbind.current?.(), []);

  return {
    shown,
    isWhole: chosen === null,
    marked,
    zoomBy: (factor) => change(zoom(shown, whole, factor, (shown.from + shown.to) / 2)),
    panBy: (share) => change(pan(shown, whole, share * (shown.to - shown.from))),
    fit: () => setChosen(null),
    show: (of) => change(around(of, whole)),
    bind,
    wasDragged: () => dragged.current,
  };
}
