import { setQuery } from "../app/router";
import { serviceClass } from "./colours";
import type { Model } from "./model";
import type { Axis } from "./useAxis";

// Each row names its service; the legend need not have them all.
const NAMED = 24;

interface Props {
  model: Model;
  axis: Axis;
  hasSuspects: boolean;
  question: string;
  hits: number | null;
  adjusted: boolean;
  onQuestion: (question: string) => void;
  onNext: (step: number) => void;
  onAnomaly: () => void;
  onFoldAll: (fold: boolean) => void;
}

export function Toolbar(props: Props) {
  const { model, axis, hits } = props;
  return (
    <>
      <div class="tools">
        <input
          type="search"
          aria-label="Search spans by name, service, error, attribute"
          placeholder="search spans  /"
          value={props.question}
          onInput={(event) => props.onQuestion(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            props.onNext(event.shiftKey ? -1 : 1);
          }}
        />
        <span role="status" class="quiet">{hits === null ? "" : hits === 1 ? "1 hit" : `${hits} hits`}</span>
        {model.anomalies > 0 && (
          <button type="button" onClick={props.onAnomaly}>
            Next anomaly ({model.anomalies})
          </button>
        )}
        <span class="group" role="group" aria-label="Time axis">
          <button type="button" aria-label="Zoom in" title="Zoom in (+)" onClick={() => axis.zoomBy(0.5)}>+</button>
          <button type="button" aria-label="Zoom out" title="Zoom out (−)" onClick={() => axis.zoomBy(2)}>−</button>
          <button type="button" aria-label="Earlier" title="Earlier (Shift ←)" disabled={axis.isWhole} onClick={() => axis.panBy(-0.25)}>←</button>
          <button type="button" aria-label="Later" title="Later (Shift →)" disabled={axis.isWhole} onClick={() => axis.panBy(0.25)}>→</button>
          <button type="button" title="All of it (0)" disabled={axis.isWhole} onClick={axis.fit}>All</button>
        </span>
        <span class="group" role="group" aria-label="Rows">
          <button type="button" onClick={() => props.onFoldAll(true)}>Fold</button>
          <button type="button" onClick={() => props.onFoldAll(false)}>Unfold</button>
        </span>
        <button
          type="button"
          aria-pressed={props.adjusted}
          disabled={!model.hasSkew}
          title={model.hasSkew ? "Children that do not fit into their parents are moved: a guess" : "No clock seems apart"}
          onClick={() => setQuery({ times: props.adjusted ? null : "adjusted" })}
        >
          Skew-adjusted
        </button>
      </div>
      <ul class="legend" aria-label="Services">
        {model.services.slice(0, NAMED).map((service) => (
          <li key={service}><span class={`chip ${serviceClass(model.services, service)}`} aria-hidden="true" />{service}</li>
        ))}
        {model.services.length > NAMED && <li class="quiet">and {model.services.length - NAMED} more</li>}
        {props.hasSuspects && <li><span class="suspect-mark" aria-hidden="true">◆</span>root cause</li>}
        <li><span class="chip path-chip" aria-hidden="true" />critical path</li>
        <li><span class="chip gap-chip" aria-hidden="true" />gap between services</li>
      </ul>
      {props.adjusted && <p class="quiet">Times are adjusted, a guess; so are gaps and the critical path.</p>}
    </>
  );
}
