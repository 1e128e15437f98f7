// The p95 and the median of one operation over time. The same numbers stand in a table for those who
// do not see it.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { count, durationMs, timeToSecond } from "../app/format";
import type { OperationTime } from "../types";

const HEIGHT = 180;
const LEFT = 64;
const BOTTOM = 24;
const TOP = 10;
const RIGHT = 12;

interface Point {
  at: number;
  row: OperationTime;
}

// Rounded up to 1, 2 or 5 times a power of ten.
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
  return ([1, 2, 5, 10].find((times) => times * power >= value) ?? 10) * power;
}

function pathOf(points: Point[], x: (at: number) => number, y: (ms: number) => number, of: (row: OperationTime) => number | null, stepMs: number): string {
  let last: number | null = null;
  return points
    .flatMap(({ at, row }) => {
      const ms = of(row);
      if (ms === null) return [];
      // Where nothing ran there is no line.
      const move = last === null || at - last > stepMs * 1.5;
      last = at;
      return [`${move ? "M" : "L"}${x(at).toFixed(1)},${y(ms).toFixed(1)}`];
    })
    .join("");
}

// A pixel of the drawing is one of the screen, or its text would shrink with the window.
function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(800);
  useLayoutEffect(() => {
    const measure = () => setWidth(Math.max(240, box.current?.clientWidth ?? 0));
    measure();
    const observer = new ResizeObserver(measure);
    if (box.current !== null) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return { box, width };
}

export function Plot({ operation, series }: { operation: OperationTime; series: OperationTime[] }) {
  return series.length === 0 ? null : <Drawing operation={operation} series={series} />;
}

function Drawing({ operation, series }: { operation: OperationTime; series: OperationTime[] }) {
  const points = series.map((row) => ({ at: Date.parse(row.starts_at!), row })).sort((a, b) => a.at - b.at);
  const { box, width } = useWidth();
  const stepMs = points[0]!.row.hours * 3600e3;
  const first = points[0]!.at;
  const last = points.at(-1)!.at;
  const top = niceTop(Math.max(...points.map(({ row }) => row.p95_ms ?? 0)));
  // A single hour or day stands in the middle.
  const share = (at: number) => (last > first ? (at - first) / (last - first) : 0.5);
  const x = (at: number) => LEFT + share(at) * (width - LEFT - RIGHT);
  const y = (ms: number) => HEIGHT - BOTTOM - (ms / top) * (HEIGHT - BOTTOM - TOP);
  const hasFailures = points.some(({ row }) => row.failed + row.timeouts > 0);
  const title = `p95 of ${operation.operation} (${operation.service}) by ${points[0]!.row.hours === 1 ? "hour" : "day"}`;
  return (
    <figure class="plot card">
      <figcaption>{title} <span class="quiet"><span class="key p95" aria-hidden="true" /> p95 <span class="key p50" aria-hidden="true" /> median{hasFailures && <><span class="key dot-bad" aria-hidden="true" /> p95 where some failed</>}</span></figcaption>
      <div ref={box}><svg viewBox={`0 0 ${width} ${HEIGHT}`} height={HEIGHT} role="img" aria-label={title}>
        {[0, 0.5, 1].map((share) => (
          <g key={share}>
            <line class="rule" x1={LEFT} x2={width - RIGHT} y1={y(top * share)} y2={y(top * share)} />
            <text x={LEFT - 6} y={y(top * share) + 4} text-anchor="end">{share === 0 ? "0" : durationMs(top * share)}</text>
          </g>
        ))}
        <text x={x(first)} y={HEIGHT - 6} text-anchor={points.length > 1 ? "start" : "middle"}>{timeToSecond(points[0]!.row.starts_at).slice(0, 16)}</text>
        {points.length > 1 && <text x={width - RIGHT} y={HEIGHT - 6} text-anchor="end">{timeToSecond(points.at(-1)!.row.starts_at).slice(0, 16)}</text>}
        <path class="line p50" d={pathOf(points, x, y, (row) => row.p50_ms, stepMs)} />
        <path class="line p95" d={pathOf(points, x, y, (row) => row.p95_ms, stepMs)} />
        {points.map(({ at, row }) => row.p50_ms !== null && <circle key={at} class="dot p50" cx={x(at)} cy={y(row.p50_ms)} r="2.5" />)}
        {points.map(({ at, row }) => row.p95_ms !== null && (
          <circle key={at} class={`dot ${row.failed + row.timeouts > 0 ? "bad" : ""}`} cx={x(at)} cy={y(row.p95_ms)} r="3.5">
            <title>{`${timeToSecond(row.starts_at)}: p95 ${durationMs(row.p95_ms)}, ${count(row.spans)} spans, ${row.failed + row.timeouts} failures`}</title>
          </circle>
        ))}
      </svg></div>
      <details>
        <summary>As a table</summary>
        <table>
          <thead><tr><th scope="col">From (UTC)</th><th scope="col" class="number">Spans</th><th scope="col" class="number">Failures</th><th scope="col" class="number">p50</th><th scope="col" class="number">p95</th></tr></thead>
          <tbody>
            {points.map(({ at, row }) => (
              <tr key={at}>
                <th scope="row">{timeToSecond(row.starts_at)}</th>
                <td class="number">{count(row.spans)}</td>
                <td class="number">{count(row.failed + row.timeouts)}</td>
                <td class="number">{durationMs(row.p50_ms)}</td>
                <td class="number">{durationMs(row.p95_ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
