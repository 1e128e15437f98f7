// Light or dark as the system says, until somebody says otherwise here.
const KEY = "spanring.theme";

export type Theme = "light" | "dark";

export function currentTheme(): Theme {
  const chosen = localStorage.getItem(KEY);
  if (chosen === "light" || chosen === "dark") return chosen;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function applyTheme(theme: Theme, remember: boolean): void {
  document.documentElement.dataset["theme"] = theme;
  if (remember) localStorage.setItem(KEY, theme);
}
