// Numbers and times as a person reads them. Times are UTC throughout, as in logs and in the API.

const UNITS: [number, string][] = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
];

export function duration(ns: number | null): string {
  if (ns === null) return "–";
  if (ns === 0) return "0";
  const length = Math.abs(ns);
  if (length >= 3600e9) return `${trim(ns / 3600e9)} h`;
  if (length >= 600e9) return `${trim(ns / 60e9)} min`;
  for (const [size, unit] of UNITS) {
    if (length >= size) return `${trim(ns / size)} ${unit}`;
  }
  return `${Math.round(ns)} ns`;
}

function trim(value: number): string {
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(1);
}

export function durationMs(ms: number | null): string {
  return duration(ms === null ? null : ms * 1e6);
}

// The sign is what a difference is about.
export function differenceMs(ms: number | null): string {
  if (ms === null) return "–";
  if (ms === 0) return "0";
  return `${ms > 0 ? "+" : "−"}${durationMs(Math.abs(ms))}`;
}

export function count(value: number | null): string {
  return value === null ? "–" : value.toLocaleString("en-US");
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  const value = (100 * part) / whole;
  return `${value > 0 && value < 0.1 ? "<0.1" : value.toFixed(value < 10 ? 1 : 0)} %`;
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`;
}

// 2026-11-27 01:58:50.371
export function time(iso: string | null): string {
  if (iso === null) return "–";
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? iso : at.toISOString().replace("T", " ").replace("Z", "");
}

export function timeToSecond(iso: string | null): string {
  return time(iso).replace(/\.\d+$/, "");
}

// The 16 hex digits of a W3C span id; where the upper half is not 0, all of the UUID.
export function spanId(uuid: string): string {
  const digits = uuid.replaceAll("-", "");
  return digits.startsWith("0000000000000000") ? digits.slice(16) : digits;
}

export function traceId(uuid: string): string {
  return uuid.replaceAll("-", "");
}
