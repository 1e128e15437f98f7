// Why did it fail? The ranked cause first, then where the time went.
import { useEffect, useMemo, useState } from "preact/hooks";
import { spanId } from "../app/format";
import { isTyping, useKeys } from "../app/keys";
import { setQuery, useLocation } from "../app/router";
import { useAnswer } from "../app/useAnswer";
import { Failure } from "../parts/Failure";
import type { Cause, Diagnosis, Execution, SimilarExecution, Trace } from "../types";
import { buildModel } from "../waterfall/model";
import { Waterfall } from "../waterfall/Waterfall";
import { DroppedSpans } from "./DroppedSpans";
import { Header } from "./Header";
import { RootCause } from "./RootCause";
import { Similar } from "./Similar";
import { SpanPanel } from "./SpanPanel";

const LIVE_MS = 5000;
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

export function ExecutionView({ id }: { id: string }) {
  const { query } = useLocation();
  const base = `executions/${encodeURIComponent(id)}`;
  const [hasOpen, setHasOpen] = useState(false);
  const every = hasOpen ? LIVE_MS : null;
  const execution = useAnswer<Execution>(base, every);
  const trace = useAnswer<Trace>(`${base}/trace`, every);
  const diagnosis = useAnswer<Diagnosis>(`${base}/diagnosis`, every);
  const causes = useAnswer<{ causes: Cause[] }>(`${base}/root-cause`, every);
  const similar = useAnswer<{ executions: SimilarExecution[] }>(`${base}/similar?limit=5`);

  const adjusted = query.get("times") === "adjusted";
  const selected = query.get("span");
  const model = useMemo(() => {
    if (trace.data === null) return null;
    // Gaps are known for recorded times only.
    const shown = adjusted ? { ...trace.data, gaps: [] } : trace.data;
    return buildModel(shown, diagnosis.data?.operations ?? []);
  }, [trace.data, diagnosis.data, adjusted]);
  useEffect(() => setHasOpen(model?.hasOpen ?? false), [model]);
  const now = useNow(hasOpen);

  const select = (span: string | null) => setQuery({ span: span === null ? null : spanId(span) });
  const close = () => {
    select(null);
    // The focus was in what is gone now, or came from there.
    document.querySelector<HTMLElement>("[role=treegrid]")?.focus();
  };
  useKeys((event) => {
    if (event.key === "Escape" && selected !== null && !isTyping(event)) close();
  });
  // The address has 16 digits, the answers UUIDs.
  const selectedUuid = useMemo(() => {
    if (model === null || selected === null) return null;
    for (const uuid of model.bySpanId.keys()) if (spanId(uuid) === selected) return uuid;
    return null;
  }, [model, selected]);
  const index = selectedUuid === null ? undefined : model?.bySpanId.get(selectedUuid);
  const item = index === undefined ? undefined : model?.items[index];

  // Rows by other writers are among the executions only after trace_maintain(); the spans are there.
  const isUnsummarized = execution.error?.status === 404 && trace.data !== null;
  return (
    <>
      <Header id={id} execution={execution.data} first={trace.data?.spans[0] ?? null} />
      {!isUnsummarized && <Failure error={execution.error} retry={execution.reload} />}
      {causes.error?.status !== 404 && <Failure error={causes.error} retry={causes.reload} />}
      {causes.data !== null && <RootCause causes={causes.data.causes} model={model} isRunning={hasOpen} onSelect={select} />}
      {trace.data !== null && <DroppedSpans trace={trace.data} />}
      {trace.error?.status !== execution.error?.status && <Failure error={trace.error} retry={trace.reload} />}
      {diagnosis.error?.status !== execution.error?.status && <Failure error={diagnosis.error} retry={diagnosis.reload} />}
      {trace.data === null && trace.loading && <p class="quiet" role="status">Fetching spans …</p>}
      {model !== null && (
        <div class={item ? "split" : ""}>
          <Waterfall
            model={model}
            nowNs={(now - model.originMs) * 1e6}
            adjusted={adjusted}
            selected={selectedUuid}
            onSelect={select}
          />
          {item?.kind === "span" && <SpanPanel item={item} services={model.services} onClose={close} onSelect={select} />}
        </div>
      )}
      {similar.data !== null && <Similar id={id} executions={similar.data.executions} />}
    </>
  );
}
