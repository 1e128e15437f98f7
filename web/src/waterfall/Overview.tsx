// All of a large trace in a strip: each span a thin line, and which part of the time is shown below.
// Dragging on it zooms into what was marked. For the eye and the pointer only: keys and buttons do the
// same below.
import { useEffect, useRef, useState } from "preact/hooks";
import { place } from "./axis";
import { serviceColour } from "./colours";
import { type Interval, type Model, interval } from "./model";

const HEIGHT_PX = 48;
// Below this a press is a click, as a share of the width.
const CLICK = 0.005;

function draw(canvas: HTMLCanvasElement, model: Model, whole: Interval, adjusted: boolean, nowNs: number): void {
  const context = canvas.getContext("2d");
  if (context === null) return;
  const scale = window.devicePixelRatio;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = HEIGHT_PX * scale;
  const colours = new Map(model.services.map((service) => [service, serviceColour(model.services, service)]));
  const perNs = canvas.width / (whole.to - whole.from);
  const lineHeight = Math.max(scale, canvas.height / model.items.length);
  model.items.forEach((item, index) => {
    if (item.kind === "gap") return;
    const { from, to } = interval(item, adjusted, nowNs);
    context.fillStyle = colours.get(item.span.service)!;
    context.fillRect((from - whole.from) * perNs, (index / model.items.length) * (canvas.height - lineHeight), Math.max(scale, (to - from) * perNs), lineHeight);
  });
}

interface Props {
  model: Model;
  whole: Interval;
  shown: Interval;
  adjusted: boolean;
  nowNs: number;
  onShow: (part: Interval) => void;
  onFit: () => void;
}

export function Overview({ model, whole, shown, adjusted, nowNs, onShow, onFit }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [start, setStart] = useState<number | null>(null); // shares of the width
  const [end, setEnd] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    observer.observe(canvas.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (width > 0) draw(canvas.current!, model, whole, adjusted, nowNs);
  }, [model, whole, adjusted, nowNs, width]);

  const shareAt = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    setStart(shareAt(event));
    setEnd(shareAt(event));
  };
  const up = (event: PointerEvent) => {
    if (start === null) return;
    const [from, to] = [start, shareAt(event)].sort((a, b) => a - b) as [number, number];
    setStart(null);
    const length = whole.to - whole.from;
    if (to - from < CLICK) onFit();
    else onShow({ from: whole.from + from * length, to: whole.from + to * length });
  };
  const part = place(shown, whole);
  const style = (left: number, right: number) => ({ left: `${left}%`, width: `${right - left}%` });
  return (
    <div
      class="overview"
      aria-hidden="true"
      title="Drag to zoom, click for all of it"
      onPointerDown={down}
      onPointerMove={(event) => start !== null && setEnd(shareAt(event))}
      onPointerUp={up}
      onPointerCancel={() => setStart(null)}
    >
      <canvas ref={canvas} />
      {start === null && part && <span class="overview-shown" style={style(part.left, part.left + part.width)} />}
      {start !== null && <span class="marked" style={style(100 * Math.min(start, end), 100 * Math.max(start, end))} />}
    </div>
  );
}
