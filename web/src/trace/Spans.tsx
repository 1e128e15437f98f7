// The waterfall, and beside it the details of the span that the address names.
import { useEffect, useMemo, useState } from "preact/hooks";
import { spanId } from "../app/format";
import { isTyping, useKeys } from "../app/keys";
import { setQuery, useLocation } from "../app/router";
import type { Model } from "../waterfall/model";
import { Waterfall } from "../waterfall/Waterfall";
import { SpanPanel } from "./SpanPanel";

// How often the bars of open spans grow.
const GROW_MS = 500;

function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") setNow(Date.now());
    }, GROW_MS);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}

export function selectSpan(uuid: string | null): void {
  setQuery({ span: uuid === null ? null : spanId(uuid) });
}

const NONE: ReadonlySet<string> = new Set();

interface Props {
  model: Model;
  adjusted: boolean;
  suspects?: ReadonlySet<string>;
}

export function Spans({ model, adjusted, suspects = NONE }: Props) {
  const selected = useLocation().query.get("span");
  const now = useNow(model.hasOpen);
  const close = () => {
    selectSpan(null);
    // The focus was in what is gone now, or came from there.
    document.querySelector<HTMLElement>("[role=treegrid]")?.focus();
  };
  useKeys((event) => {
    if (event.key === "Escape" && selected !== null && !isTyping(event)) close();
  });
  // The address has 16 digits, the answers UUIDs.
  const selectedUuid = useMemo(() => {
    if (selected === null) return null;
    for (const uuid of model.bySpanId.keys()) if (spanId(uuid) === selected) return uuid;
    return null;
  }, [model, selected]);
  const index = selectedUuid === null ? undefined : model.bySpanId.get(selectedUuid);
  const item = index === undefined ? undefined : model.items[index];
  return (
    <div class={item ? "split" : ""}>
      <Waterfall model={model} nowNs={(now - model.originMs) * 1e6} adjusted={adjusted} selected={selectedUuid} suspects={suspects} onSelect={selectSpan} />
      {item?.kind === "span" && <SpanPanel item={item} services={model.services} onClose={close} onSelect={selectSpan} />}
    </div>
  );
}
