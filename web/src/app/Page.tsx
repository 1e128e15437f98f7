// What is around every view: navigation, theme, the token's prompt, help.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { CompareView } from "../compare/CompareView";
import { ExecutionView } from "../execution/ExecutionView";
import { ExecutionsView } from "../executions/ExecutionsView";
import { HealthView } from "../health/HealthView";
import { OperationsView } from "../operations/OperationsView";
import { TraceView } from "../trace/TraceView";
import { HelpDialog } from "./HelpDialog";
import { isTyping, useKeys } from "./keys";
import { Link, navigate, returnTo, returnedSpot, useLocation } from "./router";
import { type Theme, applyTheme, currentTheme } from "./theme";
import { listenUnauthorized } from "./token";
import { TokenPrompt } from "./TokenPrompt";

function NoSuchPage() {
  return (
    <>
      <h1>There is no such page</h1>
      <p>
        There are <Link href="/executions">Executions</Link>, <Link href="/operations">Operations</Link> and <Link href="/health">Health</Link>;
        the box at the top opens an execution or a trace by its id.
      </p>
    </>
  );
}

function viewOf(path: string[]): { title: string; view: ComponentChildren } {
  const [first, id, what, other] = path;
  if (first === undefined || (first === "executions" && path.length === 1)) {
    return { title: "Executions", view: <ExecutionsView /> };
  }
  if (first === "executions" && id !== undefined && path.length === 2) {
    return { title: `Execution ${id}`, view: <ExecutionView key={id} id={id} /> };
  }
  if (first === "executions" && id !== undefined && what === "compare" && other !== undefined && path.length === 4) {
    return { title: `${id} and ${other}`, view: <CompareView key={`${id}/${other}`} a={id} b={other} /> };
  }
  if (first === "traces" && id !== undefined && path.length === 2) {
    return { title: `Trace ${id}`, view: <TraceView key={id} id={id} /> };
  }
  if (first === "operations" && path.length === 1) return { title: "Operations", view: <OperationsView /> };
  if (first === "health" && path.length === 1) return { title: "Health", view: <HealthView /> };
  return { title: "No such page", view: <NoSuchPage /> };
}

// 32 hex digits, or a UUID of them; 16 where they are no number of an execution.
const TRACE_ID = /^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=\d*[a-f])[0-9a-f]{16})$/i;

function Jump() {
  const [id, setId] = useState("");
  const open = (event: SubmitEvent) => {
    event.preventDefault();
    // As people write them: #2193.
    const wanted = id.trim().replace(/^#\s*/, "");
    if (wanted === "") return;
    navigate(`/${TRACE_ID.test(wanted) ? "traces" : "executions"}/${encodeURIComponent(wanted)}`);
    setId("");
  };
  return (
    <form class="jump" role="search" onSubmit={open}>
      <input
        aria-label="Open the execution or the trace with this id"
        placeholder="execution or trace id"
        autocapitalize="off"
        spellcheck={false}
        value={id}
        onInput={(event) => setId(event.currentTarget.value)}
      />
      <button type="submit">Open</button>
    </form>
  );
}

export function Page() {
  const { path } = useLocation();
  const [theme, setTheme] = useState<Theme>(currentTheme);
  const [help, setHelp] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  // Counted up when a token was given: every view asks again.
  const [attempt, setAttempt] = useState(0);
  const main = useRef<HTMLElement>(null);
  const { title, view } = viewOf(path);
  const section = path[0] ?? "executions";

  useEffect(() => listenUnauthorized(setRefusal), []);
  useEffect(() => {
    document.title = `${title} · Spanring`;
  }, [title]);
  // A new view starts at its top, for the eye as for a screen reader; one come back to where it was left.
  const shown = useRef(title);
  useEffect(() => {
    if (shown.current === title) return undefined;
    shown.current = title;
    main.current?.focus({ preventScroll: true });
    const spot = returnedSpot();
    if (spot !== null) return returnTo(spot, main.current!);
    window.scrollTo(0, 0);
    return undefined;
  }, [title]);

  useKeys((event) => {
    if (event.key === "?" && !isTyping(event)) {
      setHelp(true);
    } else if (event.key === "/" && !isTyping(event)) {
      // The view's own search, else the box that opens an execution or a trace.
      const box =
        document.querySelector<HTMLInputElement>("input[type=search]") ??
        document.querySelector<HTMLInputElement>(".jump input");
      box?.focus();
      box?.select();
      event.preventDefault();
    } else if (event.key === "Escape" && isTyping(event)) {
      (event.target as HTMLElement).blur();
    }
  });

  const turn = () => {
    const next = theme === "dark" ? "light" : "dark";
    applyTheme(next, true);
    setTheme(next);
  };

  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>
        Skip to content
      </a>
      <header class="top">
        <Link href="/executions" class="brand">Spanring</Link>
        <nav aria-label="Views">
          <Link href="/executions" current={section === "executions"}>Executions</Link>
          <Link href="/operations" current={section === "operations"}>Operations</Link>
          <Link href="/health" current={section === "health"}>Health</Link>
        </nav>
        <Jump />
        <button type="button" onClick={turn} aria-label={`Use ${theme === "dark" ? "light" : "dark"} colours`} title="Light or dark">
          {theme === "dark" ? "☀" : "☾"}
        </button>
        <button type="button" onClick={() => setHelp(true)} aria-label="Help: keys and marks" title="Help (?)">?</button>
      </header>
      <main id="main" tabIndex={-1} ref={main}>
        {refusal === null ? (
          <div key={attempt}>{view}</div>
        ) : (
          <TokenPrompt message={refusal} onGiven={() => { setRefusal(null); setAttempt(attempt + 1); }} />
        )}
      </main>
      {help && <HelpDialog onClose={() => setHelp(false)} />}
    </>
  );
}
