// Why did it fail? The ranked cause first, then where the time went.
import { useAnswer } from "../app/useAnswer";
import { Failure } from "../parts/Failure";
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

  // Rows by other writers are among the executions only after trace_maintain(); the spans are there.
  const isUnsummarized = execution.error?.status === 404 && trace !== null;
  return (
    <>
      <Header id={id} execution={execution.data} first={trace?.spans[0] ?? null} />
      {!isUnsummarized && <Failure error={execution.error} retry={execution.reload} />}
      {causes.error?.status !== 404 && <Failure error={causes.error} retry={causes.reload} />}
      {causes.data !== null && <RootCause causes={causes.data.causes} model={model} isRunning={hasOpen} onSelect={selectSpan} />}
      {trace !== null && <DroppedSpans trace={trace} />}
      {answer.error?.status !== execution.error?.status && <Failure error={answer.error} retry={answer.reload} />}
      {diagnosis.error?.status !== execution.error?.status && <Failure error={diagnosis.error} retry={diagnosis.reload} />}
      {trace === null && answer.loading && <p class="quiet" role="status">Fetching spans …</p>}
      {model !== null && <Spans model={model} adjusted={adjusted} />}
      <Failure error={network.error} retry={network.reload} />
      {network.data !== null && <Network calls={network.data.calls} adjusted={adjusted} onSelect={selectSpan} />}
      {similar.data !== null && <Similar id={id} executions={similar.data.executions} />}
    </>
  );
}
