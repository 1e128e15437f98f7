// An answer of the API as state: asked when the path changes, and again every few seconds where it
// is to stay live.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, ask } from "./api";
import { onUnauthorized } from "./token";

// Until the database, or spanring serve, is there again.
export const RETRY_MS = 5000;

export interface Answer<T> {
  data: T | null;
  error: ApiError | null;
  // For which path the data is: while the next one is fetched, the last stays on the screen.
  path: string | null;
  loading: boolean;
  reload: () => void;
}

export function useAnswer<T>(path: string | null, everyMs: number | null = null): Answer<T> {
  const [state, setState] = useState<Omit<Answer<T>, "reload">>({
    data: null,
    error: null,
    path: null,
    loading: path !== null,
  });
  const running = useRef<AbortController | null>(null);
  const last = useRef({ endedAt: 0, tookMs: 0 });

  const load = useCallback(() => {
    if (path === null) return;
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((old) => ({ ...old, loading: true }));
    const startedAt = performance.now();
    const ended = () => {
      running.current = null;
      last.current = { endedAt: performance.now(), tookMs: performance.now() - startedAt };
    };
    ask<T>(path, controller.signal).then(
      (data) => {
        if (controller.signal.aborted) return;
        ended();
        setState({ data, error: null, path, loading: false });
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        ended();
        const failure = error instanceof ApiError ? error : new ApiError(0, String(error));
        if (failure.status === 401) onUnauthorized(failure.message);
        // A view that stays live keeps what it has, below the message.
        setState((old) => ({
          data: old.path === path ? old.data : null,
          error: failure,
          path,
          loading: false,
        }));
      },
    );
  }, [path]);

  useEffect(() => {
    load();
    return () => running.current?.abort();
  }, [load]);

  useEffect(() => {
    if (everyMs === null) return undefined;
    const tick = () => {
      if (document.visibilityState !== "visible" || running.current !== null) return;
      // What is slow to answer is asked more rarely, or a large trace would keep the database busy.
      const { endedAt, tookMs } = last.current;
      if (performance.now() - endedAt >= 4 * tookMs) load();
    };
    const timer = setInterval(tick, everyMs);
    // Back in sight after longer than that: at once.
    document.addEventListener("visibilitychange", tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, [load, everyMs]);

  const { error } = state;
  useEffect(() => {
    if (error === null || (error.status !== 0 && error.status !== 503)) return undefined;
    const timer = setTimeout(load, RETRY_MS);
    return () => clearTimeout(timer);
  }, [error, load]);

  return { ...state, reload: load };
}
