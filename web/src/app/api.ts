// Asks /api/v1. The token, where the server wants one, lives as long as the tab.

const TOKEN_KEY = "spanring.token";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }

  // Else a 503 says itself what to do: of the schema, of rights, of too many questions.
  get isDatabaseAway(): boolean {
    return this.status === 503 && !/spanring migrate|GRANT spanring_reader|try again/.test(this.message);
  }
}

export function setToken(token: string): void {
  sessionStorage.setItem(TOKEN_KEY, token);
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN_KEY) !== null;
}

// Ids are 64 bits wide, and numbers here are exact up to 2^53 only: long ones behind a key become
// text. A quote inside a string is escaped, so none is mistaken, but for a string that begins with a
// colon and digits: then the answer no longer parses, and is taken as it came.
export function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text.replace(/(?<!\\)(":\s*)(-?\d{16,})(?=[\s,}])/g, '$1"$2"'));
  } catch {
    return JSON.parse(text);
  }
}

function messageOf(text: string, response: Response): string {
  try {
    const failure = JSON.parse(text) as { error?: { message?: unknown } };
    if (typeof failure.error?.message === "string") return failure.error.message;
  } catch {
    // Not ours: a proxy's page, say.
  }
  return `${response.status} ${response.statusText}`;
}

export type Query = Record<string, string | number | null | undefined>;

export function queryString(query: Query): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parts.set(name, String(value));
  }
  const text = parts.toString();
  return text === "" ? "" : `?${text}`;
}

export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, { headers, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "spanring serve does not answer: is it running?");
  }
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, messageOf(text, response));
  return parseAnswer(text) as T;
}
