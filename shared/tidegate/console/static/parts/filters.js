// Which jobs are listed: every filter is in the URL under the name that the API gives it.

import { count } from "../core/format.js";
import { setQuery } from "../core/router.js";
import { STATES, label, tone } from "../core/states.js";
import { html, useEffect, useState } from "../core/ui.js";
import { Icon, Sign } from "./icons.js";

const PLAIN = ["queue", "name", "tag", "owner", "dag_id", "created_from", "created_to"];

/** The filters of a URL as the API asks for them. `metadata` reads `key=value`. */
export function askedFor(query) {
  const asked = { state: query.get("state")?.split(",").filter(Boolean) };
  for (const name of PLAIN) asked[name] = query.get(name);
  const pair = query.get("metadata")?.match(/^([^=]+)=(.*)$/);
  if (pair) asked[`metadata.${pair[1].trim()}`] = pair[2].trim();
  return asked;
}

const change = (changes) => setQuery({ ...changes, cursor: null });

export function Filters({ query, states, queues: names }) {
  const chosen = new Set(query.get("state")?.split(",").filter(Boolean));
  const [open, setOpen] = useState(PLAIN.some((name) => query.get(name)));
  const toggle = (state) => {
    if (!chosen.delete(state)) chosen.add(state);
    change({ state: [...chosen].join(",") });
  };
  const given = [...PLAIN, "metadata", "since", "state"].filter((name) => query.get(name));
  const queue = query.get("queue") ?? "";
  return html`
    <div class="filters" role="search" aria-label="Filters">
      <div class="states" role="group" aria-label="State">
        ${Object.keys(STATES)
          .map((state) =>
            html`<button type="button" key=${state} aria-pressed=${chosen.has(state)} class="tone-${tone(state)}"
              onClick=${() => toggle(state)}>
          <${Sign} state=${state} />${label(state)}<span class="num">${count(states[state] ?? 0)}</span></button>`)}
      </div>
      <button type="button" class="phone-only" aria-expanded=${open} onClick=${() => setOpen(!open)}>
        ${open ? "Fewer filters" : "More filters"}<${Icon} name="down" size=${14} /></button>
      <div class="inputs ${open ? "" : "no-phone"}">
        <label><span>Queue</span><select value=${queue} onChange=${(event) => change({ queue: event.target.value })}>
          <option value="" selected=${!queue}>any</option>
            ${[...new Set([...names, ...(queue ? [queue] : [])])].map((name) =>
              html`<option key=${name} value=${name} selected=${name === queue}>${name}</option>`)}</select></label>
        <${Word} name="name" label="Name" query=${query} />
        <${Word} name="tag" label="Tag" query=${query} />
        <${Word} name="metadata" label="Metadata" hint="key=value" query=${query} />
        <${When} query=${query} />
        ${given.length > 0
          && html`<button type="button" class="link"
            onClick=${() => change(Object.fromEntries(given.map((name) => [name, null])))}>
            <${Icon} name="close" size=${14} />Clear</button>`}
      </div>
    </div>`;
}

/** A text that is asked for once it was written to its end: on Enter, or when it is left. */
function Word({ name, label: text, hint = "any", query }) {
  const given = query.get(name) ?? "";
  const [value, setValue] = useState(given);
  useEffect(() => setValue(given), [given]);
  const apply = () => value.trim() !== given && change({ [name]: value.trim() });
  return html`<label><span>${text}</span>
    <input type="search" placeholder=${hint} value=${value} spellcheck="false" autocomplete="off"
    onInput=${(event) => setValue(event.target.value)} onBlur=${apply} onSearch=${apply}
      onKeyDown=${(event) => event.key === "Enter" && apply()} /></label>`;
}

const WINDOWS = { "": "any time", "1h": "the last hour", "24h": "24 hours", "7d": "7 days", own: "from … to …" };

function When({ query }) {
  const from = query.get("created_from"), to = query.get("created_to");
  const [own, setOwn] = useState(Boolean(from || to));
  const value = own ? "own" : query.get("since") ?? "";
  const choose = (event) => {
    const wanted = event.target.value;
    setOwn(wanted === "own");
    change({ since: wanted === "own" ? null : wanted, created_from: null, created_to: null });
  };
  return html`
    <label><span>Created</span><select value=${value} onChange=${choose}>
      ${Object.entries(WINDOWS)
        .map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
      </select></label>
    ${own && html`<${Moment} label="From" name="created_from" time=${from} />
      <${Moment} label="To" name="created_to" time=${to} />`}`;
}

function Moment({ label: text, name, time }) {
  const local = time
    ? new Date(Date.parse(time) - new Date(time).getTimezoneOffset() * 60_000).toISOString().slice(0, 16) : "";
  return html`<label><span>${text}</span><input type="datetime-local" value=${local}
    onChange=${(event) => change({ [name]: event.target.value && new Date(event.target.value).toISOString() })} />
      </label>`;
}
