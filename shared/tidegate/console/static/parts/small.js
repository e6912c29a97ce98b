// Small parts that every page uses.

import { ago, clock, count, exact, tail } from "../core/format.js";
import { useNow } from "../core/live.js";
import { to } from "../core/router.js";
import { STATES, isOpen, label, tone } from "../core/states.js";
import { html, useState } from "../core/ui.js";
import { Icon, Sign } from "./icons.js";
import { toast } from "./toast.js";

/** A state by its sign and name. */
export const State = ({ state, word, quiet = false }) => html`
  <span class="state tone-${tone(state)} ${quiet ? "quiet" : ""}" title=${state}><${Sign} state=${state} />
    ${word ?? label(state)}</span>`;

/** A time as how long ago it was, with the whole time in its title. */
export function Ago({ time, none = "–" }) {
  const now = useNow(1_000);
  return time ? html`<time dateTime=${time} title=${exact(time)}>${ago(time, now)}</time>`
    : html`<span class="faint">${none}</span>`;
}

/** A time of day, with the whole time in its title. */
export const Clock = ({ time }) => (time
  ? html`<time dateTime=${time} title=${exact(time)}>${clock(time)}</time>`
  : html`<span class="faint">–</span>`);

/** A job's id, short, leading to the job. */
export const JobLink = ({ id, children }) => html`
  <a class="mono" href=${to(`/jobs/${encodeURIComponent(id)}`)} title=${id}>${children ?? tail(id)}</a>`;

/** Copies a text. */
export function Copy({ text, what }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1_500);
    } catch {
      toast("The browser does not let this page copy.", "failed");
    }
  };
  return html`<button type="button" class="bare" onClick=${copy} title="Copy ${what}" aria-label="Copy ${what}">
    <${Icon} name=${done ? "check" : "copy"} size=${14} /></button>`;
}

/** A bar of how far something is: `fraction` 0 to 1. */
export const Progress = ({ fraction, message = "", tone: colour = "active" }) => html`
  <div class="progress tone-${colour}" role="progressbar" aria-valuenow=${Math.round(fraction * 100)} aria-valuemin="0"
    aria-valuemax="100" aria-label=${message || "Progress"}>
    <span class="track"><span class="fill" style=${{ width: `${fraction * 100}%` }}></span></span>
    <span class="num">${Math.floor(fraction * 100)} %</span>
  </div>`;

const PROGRESS = [...Object.keys(STATES).filter((state) => !isOpen(state)), "ACTIVE", "RETRY", "CREATED"];

/** A bar of parts, what has ended first, each in the colour of its state. */
export function Parts({ counts, total }) {
  const shown = PROGRESS.filter((state) => counts[state]);
  const title = shown.map((state) => `${label(state)} ${count(counts[state])}`).join(", ");
  return html`<span class="partbar" role="img" aria-label=${title} title=${title}>
    ${shown.map((state) =>
      html`<span key=${state} class="tone-${tone(state)}" style=${{ width: `${(100 * counts[state]) / total}%` }}>
        </span>`)}
  </span>`;
}

/** What is shown where there is nothing, or not yet, or because something failed. */
export function Nothing({ data, error, loading, refresh, children }) {
  if (error && !data) {
    return html`<div class="nothing failed" role="alert"><p>${error.message}</p>
      <button type="button" onClick=${refresh}>Try again</button></div>`;
  }
  if (loading && !data) return html`<div class="nothing" aria-busy="true"><span class="ripple"></span><p>Loading</p>
    </div>`;
  return html`<div class="nothing">${children}</div>`;
}

/** The head of a page: what it is, how it stands, what can be done. */
export const Head = ({ title, note, children, crumbs }) => html`
  <header class="head">
    <div>${crumbs && html`<nav class="crumbs" aria-label="Path">${crumbs}</nav>`}<h1>${title}</h1>
      ${note && html`<p class="note">${note}</p>`}</div>
    <div class="actions">${children}</div>
  </header>`;

/** A part of a page under a heading. */
export const Panel = ({ title, side, children, className = "" }) => html`
  <section class="panel ${className}" aria-label=${title}>
    <header><h2>${title}</h2>${side && html`<div class="side">${side}</div>`}</header>${children}
  </section>`;

/** Names and values. Those that are null are left out. */
export const Facts = ({ rows }) => html`
  <dl class="facts">${rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(
    ([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
