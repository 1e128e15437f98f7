// The first cause is the answer, the others are candidates.
import type { Cause } from "../types";
import type { Model } from "../waterfall/model";
import { spanId } from "../app/format";

// Many spans may stand behind one cause, as behind a storm of retries.
const LINKS = 8;

interface Props {
  causes: Cause[];
  model: Model | null;
  isRunning: boolean;
  hasSimilar: boolean; // they stand below
  onSelect: (spanId: string) => void;
}

function SpanLinks({ cause, model, onSelect }: { cause: Cause; model: Model | null; onSelect: Props["onSelect"] }) {
  const ids = cause.span_ids ?? [];
  if (ids.length === 0) return null;
  const name = (id: string) => {
    const index = model?.bySpanId.get(id);
    const item = index === undefined ? undefined : model?.items[index];
    return item?.kind === "span" ? item.span.operation : spanId(id);
  };
  return (
    <p class="span-links">
      <span class="quiet">spans: </span>
      {ids.slice(0, LINKS).map((id) => (
        <button key={id} type="button" class="link" onClick={() => onSelect(id)}>{name(id)}</button>
      ))}
      {ids.length > LINKS && <span class="quiet">and {ids.length - LINKS} more</span>}
    </p>
  );
}

function Confidence({ value }: { value: number }) {
  return (
    <span class="confidence">
      <span class="meter" aria-hidden="true"><span style={{ width: `${100 * value}%` }} /></span>
      confidence {value.toFixed(2)}
    </span>
  );
}

function Where({ cause }: { cause: Cause }) {
  return (
    <>
      {cause.affected_service !== null && <strong>{cause.affected_service}</strong>}
      {cause.affected_operation !== null && <span class="quiet"> {cause.affected_operation}</span>}
    </>
  );
}

// A function that the command line and SQL have stands in the page as what it finds.
function Advice({ text, hasSimilar }: { text: string; hasSimilar: boolean }) {
  const [before, behind] = text.split(/find_similar_traces\(-?\d+\)/);
  if (behind === undefined) return <>{text}</>;
  return <>{before}{hasSimilar ? <a href="#similar-title">similar executions</a> : "similar executions"}{behind}</>;
}

export function RootCause({ causes, model, isRunning, hasSimilar, onSelect }: Props) {
  const [first, ...others] = causes;
  if (first === undefined) {
    return <p class="card fine" role="status">Nothing is wrong with this execution, as far as its spans say.</p>;
  }
  return (
    <section class="card cause" aria-labelledby="cause-title">
      <h2 id="cause-title"><span class="quiet">Root cause</span> <code>{first.root_cause_type}</code></h2>
      <p class="where"><Where cause={first} /> <Confidence value={first.confidence} /></p>
      <p class="evidence">{first.evidence}</p>
      {first.recommendation !== null && <p class="advice"><span class="quiet">What to do: </span><Advice text={first.recommendation} hasSimilar={hasSimilar} /></p>}
      <SpanLinks cause={first} model={model} onSelect={onSelect} />
      {isRunning && <p class="quiet">Spans of it are open. Was it cut off, or does it still run? Both look like this.</p>}
      {others.length > 0 && (
        <details>
          <summary>{others.length} other {others.length === 1 ? "candidate" : "candidates"}</summary>
          <ol start={2}>
            {others.map((cause) => (
              <li key={cause.rank}>
                <p><code>{cause.root_cause_type}</code> <Where cause={cause} /> <Confidence value={cause.confidence} /></p>
                <p>{cause.evidence}</p>
                {cause.recommendation !== null && <p class="quiet"><Advice text={cause.recommendation} hasSimilar={hasSimilar} /></p>}
                <SpanLinks cause={cause} model={model} onSelect={onSelect} />
              </li>
            ))}
          </ol>
        </details>
      )}
    </section>
  );
}
