// Signing in: a token, as every other client has one.

import { request } from "../core/api.js";
import { keepToken, session } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { Mark } from "../parts/icons.js";

export function SignIn() {
  const { note } = session.use();
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      const text = token.trim().replace(/^Bearer\s+/i, "");
      keepToken(text, await request("GET", "/whoami", { token: text }));
    } catch (problem) {
      setError(problem.message);
      setBusy(false);
    }
  };
  return html`
    <div class="signin">
      <div class="sea" aria-hidden="true"><svg viewBox="0 0 1200 400" preserveAspectRatio="none">
        <path class="far" d="M0 140c150-50 250-50 400 0s250 50 400 0 250-50 400 0v260H0z" />
        <path class="mid" d="M0 200c200-60 300-40 500 0s350 40 700-20v220H0z" />
        <path class="near" d="M0 290c150-40 300-40 450 0s350 40 750-10v120H0z" /></svg></div>
      <form onSubmit=${submit} aria-labelledby="signin">
        <p class="brand"><${Mark} size=${40} /><span>Tidegate</span></p>
        <h1 id="signin">Sign in</h1>
        ${(error || note) && html`<p class="problem" role="alert">${error || note}</p>`}
        <label for="token">Token</label>
        <input id="token" class="mono" type="password" required autocomplete="off" spellcheck="false"
          placeholder="tg_…" autofocus
          value=${token} onInput=${(event) => setToken(event.target.value)} />
        <button class="main" disabled=${busy}>${busy ? "One moment" : "Sign in"}</button>
        <p class="faint">On this machine it is in the file <code>.tidegate/token</code>. For a deployed stage:
          ${" "}<code>tidegate token create NAME --scope read --stack STACK</code>. It is kept in this tab alone.</p>
      </form>
    </div>`;
}
