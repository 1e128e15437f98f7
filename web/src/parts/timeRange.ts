// A time range in the URL: last=1h, or from and to as PostgreSQL reads them.

export const PRESETS: [string, string, number][] = [
  ["15m", "15 minutes", 15 * 60e3],
  ["1h", "hour", 3600e3],
  ["6h", "6 hours", 6 * 3600e3],
  ["24h", "24 hours", 24 * 3600e3],
  ["7d", "7 days", 7 * 24 * 3600e3],
  ["30d", "30 days", 30 * 24 * 3600e3],
];

export interface TimeRange {
  from: string | null;
  to: string | null;
}

export function timeRange(query: URLSearchParams, otherwise: string | null): TimeRange {
  const from = query.get("from");
  const to = query.get("to");
  if (from !== null || to !== null) return { from, to };
  const preset = PRESETS.find(([name]) => name === (query.get("last") ?? otherwise));
  if (preset === undefined) return { from: null, to: null };
  // Whole seconds, so that an answer is asked for by the same address for a while.
  const now = Math.floor(Date.now() / 1000) * 1000;
  return { from: new Date(now - preset[2]).toISOString(), to: null };
}
