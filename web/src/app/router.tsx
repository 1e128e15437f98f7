// Every view has a URL; the address is the state, so that it can be sent to somebody.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface Location {
  path: string[];
  query: URLSearchParams;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function read(): Location {
  return {
    path: window.location.pathname.split("/").filter((part) => part !== "").map(decoded),
    query: new URLSearchParams(window.location.search),
  };
}

const listeners = new Set<() => void>();
// Whether the last move was through the browser's history.
let wasPopped = false;
window.addEventListener("popstate", () => {
  wasPopped = true;
  listeners.forEach((listener) => listener());
});

// Where somebody was in a view that a link led away from: kept with its address, for the way back.
interface Spot {
  scrollY: number;
  href: string | null; // of the focused link
}

function leaveSpot(): void {
  const row = document.activeElement?.closest("tr")?.querySelector("th a");
  const link = row ?? document.activeElement;
  const spot: Spot = { scrollY: window.scrollY, href: link?.getAttribute("href") ?? null };
  history.replaceState(spot, "");
}

// The spot to return to, if it was left by a link and is now come back to.
export function returnedSpot(): Spot | null {
  return wasPopped ? (history.state as Spot | null) : null;
}

// How long a view may take to be there again.
const RETURN_MS = 5000;

// As soon as what was focused is there again. Whoever does something else in between is not disturbed.
export function returnTo(spot: Spot, view: HTMLElement): () => void {
  const giveUp = new AbortController();
  const observer = new MutationObserver(() => attempt());
  const end = () => {
    observer.disconnect();
    clearTimeout(timer);
    giveUp.abort();
  };
  const attempt = () => {
    const link = spot.href === null ? null : view.querySelector<HTMLElement>(`a[href="${CSS.escape(spot.href)}"]`);
    if (spot.href !== null && link === null) return;
    if (document.documentElement.scrollHeight - window.innerHeight < spot.scrollY) return;
    link?.focus({ preventScroll: true });
    window.scrollTo(0, spot.scrollY);
    end();
  };
  const timer = setTimeout(end, RETURN_MS);
  for (const what of ["wheel", "keydown", "pointerdown"]) window.addEventListener(what, end, { signal: giveUp.signal });
  observer.observe(view, { childList: true, subtree: true });
  attempt();
  return end;
}

export function navigate(url: string, replace = false): void {
  wasPopped = false;
  if (replace) {
    history.replaceState(null, "", url);
  } else {
    leaveSpot();
    history.pushState(null, "", url);
  }
  listeners.forEach((listener) => listener());
}

// The same view with some parameters changed; empty ones go.
export function setQuery(changes: Record<string, string | null>, replace = true): void {
  const query = new URLSearchParams(window.location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  navigate(window.location.pathname + (text === "" ? "" : `?${text}`), replace);
}

export function useLocation(): Location {
  const [location, setLocation] = useState(read);
  useEffect(() => {
    const update = () => setLocation(read());
    listeners.add(update);
    // What was called before this effect ran.
    update();
    return () => {
      listeners.delete(update);
    };
  }, []);
  return location;
}

interface LinkProps {
  href: string;
  children: ComponentChildren;
  class?: string;
  current?: boolean;
  label?: string;
}

export function Link({ href, children, class: name, current, label }: LinkProps) {
  const follow = (event: MouseEvent) => {
    // New tabs and windows are the browser's business.
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(href);
  };
  return (
    <a href={href} class={name} onClick={follow} aria-current={current ? "page" : undefined} aria-label={label}>
      {children}
    </a>
  );
}
