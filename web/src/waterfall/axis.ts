// The part of the time axis that is shown, and what may be done with it.
import { duration } from "../app/format";
import type { Interval } from "./model";

// Nanoseconds that are still told apart.
const SMALLEST_NS = 100;

export function zoom(shown: Interval, whole: Interval, factor: number, at: number): Interval {
  const length = Math.min(whole.to - whole.from, Math.max(SMALLEST_NS, (shown.to - shown.from) * factor));
  const share = (at - shown.from) / (shown.to - shown.from);
  return inside({ from: at - share * length, to: at + (1 - share) * length }, whole);
}

export function pan(shown: Interval, whole: Interval, byNs: number): Interval {
  return inside({ from: shown.from + byNs, to: shown.to + byNs }, whole);
}

export function inside(shown: Interval, whole: Interval): Interval {
  const length = Math.min(shown.to - shown.from, whole.to - whole.from);
  const from = Math.min(Math.max(shown.from, whole.from), whole.to - length);
  return { from, to: from + length };
}

// An interval with some room around it.
export function around(of: Interval, whole: Interval): Interval {
  const room = Math.max(SMALLEST_NS, (of.to - of.from) * 0.1);
  return inside({ from: of.from - room, to: of.to + room }, whole);
}

// In per cent of the width. What is far outside is cut, or the browser would lay out huge boxes.
export function place(of: Interval, shown: Interval): { left: number; width: number } | null {
  const scale = 100 / (shown.to - shown.from);
  const left = Math.max(-1, (of.from - shown.from) * scale);
  const right = Math.min(101, (of.to - shown.from) * scale);
  if (right < 0 || left > 100 || right < left) return null;
  return { left, width: right - left };
}

export interface Tick {
  at: number;
  left: number;
  label: string;
}

export function ticks(shown: Interval, most: number): Tick[] {
  const rough = (shown.to - shown.from) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough) ?? rough;
  const found: Tick[] = [];
  for (let at = Math.ceil(shown.from / step) * step; at <= shown.to; at += step) {
    const left = (100 * (at - shown.from)) / (shown.to - shown.from);
    found.push({ at, left, label: label(at, step) });
  }
  return found;
}

// As exact as the step asks for: 2.0015 s, and not 2.0 s five times.
function label(at: number, step: number): string {
  if (Math.abs(at) < step / 2) return "0";
  const [size, unit] = Math.abs(at) >= 1e9 ? [1e9, "s"] : Math.abs(at) >= 1e6 ? [1e6, "ms"] : [1e3, "µs"];
  if (Math.abs(at) < 1e3) return duration(at);
  const digits = Math.max(0, Math.ceil(-Math.log10(step / (size as number)) - 1e-9));
  return `${(at / (size as number)).toFixed(Math.min(digits, 9))} ${unit}`;
}
