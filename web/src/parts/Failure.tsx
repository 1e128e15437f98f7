// What went wrong, said once: several answers of a view mostly fail for the same reason.
import type { ComponentChildren } from "preact";
import type { ApiError } from "../app/api";
import { RETRY_MS } from "../app/useAnswer";

interface Failed {
  error: ApiError | null;
  reload: () => void;
}

function Words({ error }: { error: ApiError }) {
  if (!error.isDatabaseAway) return <span>{error.message}</span>;
  return (
    <div>
      <strong>The database cannot be reached.</strong> Is it running? This page tries again by itself, every {RETRY_MS / 1000} s.
      <details>
        <summary>What was said</summary>
        {error.message}
      </details>
    </div>
  );
}

// The children lead onwards.
export function Failures({ of, children }: { of: Failed[]; children?: ComponentChildren }) {
  const failed = new Map<string, { error: ApiError; reloads: (() => void)[] }>();
  for (const { error, reload } of of) {
    // 401 has a view of its own.
    if (error === null || error.status === 401) continue;
    const key = error.isDatabaseAway ? "away" : error.message;
    const same = failed.get(key) ?? { error, reloads: [] };
    same.reloads.push(reload);
    failed.set(key, same);
  }
  return (
    <>
      {[...failed].map(([key, { error, reloads }]) => (
        <div key={key} class="failure" role="alert">
          <Words error={error} />
          {/* What was asked wrongly is answered no better the second time. */}
          {error.status !== 400 && <button type="button" onClick={() => reloads.forEach((reload) => reload())}>Try again</button>}
          {!error.isDatabaseAway && children}
        </div>
      ))}
    </>
  );
}

export function Failure({ error, retry }: { error: ApiError | null; retry: () => void }) {
  return <Failures of={[{ error, reload: retry }]} />;
}
