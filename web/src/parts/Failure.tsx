import type { ApiError } from "../app/api";

export function Failure({ error, retry }: { error: ApiError | null; retry?: () => void }) {
  // 401 has a view of its own.
  if (error === null || error.status === 401) return null;
  return (
    <div class="failure" role="alert">
      <span>{error.message}</span>
      {retry && <button type="button" onClick={retry}>Try again</button>}
    </div>
  );
}
