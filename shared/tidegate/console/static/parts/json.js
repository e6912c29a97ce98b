// JSON as a tree that opens and closes: long lists and texts show their beginning until asked for more.

import { count, plural, size } from "../core/format.js";
import { html, useMemo, useState } from "../core/ui.js";
import { Copy } from "./small.js";

const STEP = 100; // entries shown at once
const LONG = 400; // characters of a text shown at once
const OPEN_DEPTH = 2;

/** A value under a heading, with its size and a way to copy it. */
export function JsonPanel({ title, value, omitted, children }) {
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "null", [value]);
  return html`<section class="panel json-panel" aria-label=${title}>
    <header><h2>${title}</h2>
      ${!omitted && value !== null
        && html`<div class="side"><small class="faint num">${size(text)}</small>
          <${Copy} text=${text} what=${title.toLowerCase()} /></div>`}</header>
    ${children}
    ${omitted ? html`<p class="faint">Too large to be shown here.</p>` : value === null
      ? html`<p class="faint">None</p>`
      : html`<div class="json scroll" tabindex="0" role="group" aria-label=${title}>
        <${Value} value=${value} depth=${0} /></div>`}
  </section>`;
}

function Value({ value, depth }) {
  if (value === null) return html`<span class="j-null">null</span>`;
  if (typeof value === "string") return html`<${Text} text=${value} />`;
  if (typeof value !== "object") return html`<span class="j-plain">${String(value)}</span>`;
  return html`<${Branch} value=${value} depth=${depth} />`;
}

function Text({ text }) {
  const [all, setAll] = useState(false);
  const cut = !all && text.length > LONG;
  return html`<span class="j-text">“${cut ? text.slice(0, LONG) : text}${cut ? "…" : ""}”</span>
    ${cut && html` <button type="button" class="link"
      onClick=${() => setAll(true)}>all ${count(text.length)} characters</button>`}`;
}

function Branch({ value, depth }) {
  const list = Array.isArray(value);
  const keys = useMemo(() => Object.keys(value), [value]);
  const [open, setOpen] = useState(depth < OPEN_DEPTH);
  const [shown, setShown] = useState(STEP);
  if (!keys.length) return html`<span class="j-null">${list ? "[ ]" : "{ }"}</span>`;
  const what = list ? plural(keys.length, "entry", "entries") : plural(keys.length, "key");
  return html`<details open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>${list ? "[" : "{"} <span class="faint">${what}</span> ${list ? "]" : "}"}</summary>
    ${open && html`<ul>
      ${keys.slice(0, shown)
        .map((key) =>
          html`<li key=${key}><span class=${list ? "j-index" : "j-key"}>${key}</span>
            <${Value} value=${value[key]} depth=${depth + 1} /></li>`)}
      ${keys.length > shown
        && html`<li>
          <button type="button" class="link" onClick=${() => setShown(shown + 10 * STEP)}>
            ${count(keys.length - shown)} more</button></li>`}
    </ul>`}
  </details>`;
}
