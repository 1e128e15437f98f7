// Why did it fail? The ranked cause first, then where the time went.
import { useMemo } from "preact/hooks";
import { useAnswer } from "../app/useAnswer";
import { Link } from "../app/router";
import { Failures } from "../parts/Failure";
import { DroppedSpans } from "../trace/DroppedSpans";
import { Spans, selectSpan } from "../trace/Spans";
import { useModel, useTrace } from "../trace/useTrace";
import type { Cause, Diagnosis, Execution, NetworkCall, SimilarExecution } from "../types";
import { Header } from "./Header";
import { Network } from "./Network";
import { RootCause } from "./RootCause";
import { Similar } from "./Similar";

export function ExecutionView({ id }: { id: string }) {
  const base = `executions/${encodeURIComponent(id)}`;
  const { trace, hasOpen, everyMs, ...answer } = useTrace(`${base}/trace`);
  const execution = useAnswer<Execution>(base, everyMs);
  const causes = useAnswer<{ causes: Cause[] }>(`${base}/root-cause`, everyMs);
  const similar = useAnswer<{ executions: SimilarExecution[] }>(`${base}/similar?limit=5`);
  // What the database computes at once it computes more slowly: first the rows, then what is said of them.
  const diagnosis = useAnswer<Diagnosis>(trace === null ? null : `${base}/diagnosis`, everyMs);
  const network = useAnswer<{ calls: NetworkCall[] }>(trace === null ? null : `${base}/network`, everyMs);
  const { model, adjusted } = useModel(trace, diagnosis.data?.operations);

  const suspects = useMemo(() => new Set(causes.data?.causes[0]?.span_ids), [causes.data]);

  // Rows by other writers are among the executions only after trace_maintain(); the spans are there.
  // What is not there is said once, by the answer that is about the spans.
  const failed = [answer, ...[execution, causes, similar, diagnosis, network].filter(({ error }) => error?.status !== 404)];
  const hasSimilar = (similar.data?.executions.length ?? 0) > 0;
  return (
    <>
      <Header id={id} execution={execution.data} first={trace?.spans[0] ?? null} />
      <Failures of={failed}><Link href="/executions">All executions</Link></Failures>
      {causes.data !== null && trace !== null && (
        <RootCause causes={causes.data.causes} model={model} isRunning={hasOpen} hasSimilar={hasSimilar} onSelect={selectSpan} />
      )}
      {trace !== null && <DroppedSpans trace={trace} />}
      {trace === null && answer.loading && <p class="quiet" role="status">Fetching spans …</p>}
      {model !== null && <Spans model={model} adjusted={adjusted} suspects={suspects} />}
      {network.data !== null && <Network calls={network.data.calls} adjusted={adjusted} onSelect={selectSpan} />}
      {similar.data !== null && <Similar id={id} executions={similar.data.executions} />}
    </>
  );
}
