// Words that come, are read out, and go.

import { createStore } from "../core/store.js";
import { html } from "../core/ui.js";
import { Icon } from "./icons.js";

const SECONDS = 6;
const shown = createStore([]);
let last = 0;

/** Tell what happened; `tone` is "completed" or "failed". */
export function toast(text, tone = "completed") {
  const id = ++last;
  shown.set((old) => [...old.slice(-3), { id, text, tone }]);
  setTimeout(() => away(id), SECONDS * 1_000 * (tone === "failed" ? 2 : 1));
}

const away = (id) => shown.set((old) => old.filter((each) => each.id !== id));

/** Do something that may fail, and tell either way; answers what it answered, null if it failed. */
export async function told(deed, success) {
  try {
    const answer = await deed();
    toast(typeof success === "function" ? success(answer) : success);
    return answer;
  } catch (error) {
    toast(error.message, "failed");
    return null;
  }
}

export const Toasts = () => html`
  <div class="toasts" role="status" aria-live="polite">
    ${shown.use().map(({ id, text, tone }) => html`
      <p key=${id} class="tone-${tone}"><span>${text}</span>
        <button type="button" class="bare" onClick=${() => away(id)} aria-label="Dismiss">
          <${Icon} name="close" size=${14} /></button></p>`)}
  </div>`;
