import { useEffect, useRef } from "preact/hooks";

export function isTyping(event: KeyboardEvent): boolean {
  return event.target instanceof Element && event.target.matches("input, select, textarea");
}

// Keys that work anywhere on the page. With Ctrl, Alt or Meta they are the browser's.
export function useKeys(pressed: (event: KeyboardEvent) => void): void {
  const latest = useRef(pressed);
  latest.current = pressed;
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      if (document.querySelector("dialog[open]") !== null) return;
      latest.current(event);
    };
    document.addEventListener("keydown", listener);
    return () => document.removeEventListener("keydown", listener);
  }, []);
}
