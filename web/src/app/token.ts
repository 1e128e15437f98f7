// Who asks for the token when an answer was 401: the page, once, whichever view was refused.
let listener: ((message: string) => void) | null = null;

export function listenUnauthorized(heard: (message: string) => void): () => void {
  listener = heard;
  return () => {
    listener = null;
  };
}

export function onUnauthorized(message: string): void {
  listener?.(message);
}
