// A trace by its path in the API, asked again while spans of it are open, and its model for the
// waterfall.
import { useEffect, useMemo, useState } from "preact/hooks";
import { useLocation } from "../app/router";
import { type Answer, useAnswer } from "../app/useAnswer";
import type { DiagnosedSpan, SentTrace, Trace } from "../types";
import { type Model, buildModel } from "../waterfall/model";
import { readTrace } from "./readTrace";

const LIVE_MS = 5000;

export interface TraceAnswer extends Omit<Answer<SentTrace>, "data"> {
  trace: Trace | null;
  hasOpen: boolean;
  everyMs: number | null; // how often what belongs to it is to be asked for
}

export function useTrace(path: string): TraceAnswer {
  const [hasOpen, setHasOpen] = useState(false);
  const everyMs = hasOpen ? LIVE_MS : null;
  const { data, ...answer } = useAnswer<SentTrace>(path, everyMs);
  const trace = useMemo(() => (data === null ? null : readTrace(data)), [data]);
  useEffect(() => setHasOpen(trace?.spans.some((span) => span.status === "started") ?? false), [trace]);
  return { ...answer, trace, hasOpen, everyMs };
}

export function useModel(trace: Trace | null, diagnosed: DiagnosedSpan[] | undefined): { model: Model | null; adjusted: boolean } {
  const adjusted = useLocation().query.get("times") === "adjusted";
  const model = useMemo(
    () => (trace === null ? null : buildModel(trace, diagnosed ?? [], adjusted)),
    [trace, diagnosed, adjusted],
  );
  return { model, adjusted };
}
