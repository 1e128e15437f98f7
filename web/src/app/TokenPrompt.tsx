import { useState } from "preact/hooks";
import { hasToken, setToken } from "./api";

export function TokenPrompt({ message, onGiven }: { message: string; onGiven: () => void }) {
  const [token, setText] = useState("");
  const give = (event: SubmitEvent) => {
    event.preventDefault();
    setToken(token.trim());
    onGiven();
  };
  return (
    <form class="card token" onSubmit={give}>
      <h1>A token is needed</h1>
      <p role="status">{hasToken() ? `That token was refused: ${message}` : message}</p>
      <label>
        Token of spanring serve, as in SPANRING_SERVE_TOKEN
        <input type="password" autocomplete="off" value={token} required onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <button type="submit">Go on</button>
      <p class="quiet">It is kept in this tab, until the tab is closed.</p>
    </form>
  );
}
