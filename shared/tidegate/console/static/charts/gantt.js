// A run along time: a bar for each node, in the order in which they began, the critical path marked.

import { count, duration } from "../core/format.js";
import { useNow } from "../core/live.js";
import { to } from "../core/router.js";
import { label, tone } from "../core/states.js";
import { html, useState } from "../core/ui.js";
import { timeTicks, useWidth } from "./scale.js";

const STEP = 100; // rows shown at once

export function Gantt({ plan, path, open }) {
  const now = useNow(open ? 1_000 : 3_600_000);
  const [shown, setShown] = useState(STEP);
  const [ref, width] = useWidth();
  const begun = [...plan.values()].filter((node) => node.start !== null)
    .sort((a, b) => a.start - b.start || a.depth - b.depth);
  if (!begun.length) return html`<div ref=${ref}><p class="faint">No job of it has started yet.</p></div>`;
  const from = begun[0].start, to_ = Math.max(from + 1_000, ...begun.map((node) => node.end ?? now));
  const share = (time) => (100 * (time - from)) / (to_ - from);
  const on = new Set(path);
  const ticks = timeTicks(from, to_, Math.max(1, Math.floor((width - 220) / 90)));
  return html`
    <div class="gantt" ref=${ref}>
      <div class="gantt-axis" aria-hidden="true"><span></span>
        <span>${ticks.map(({ at, text }) => html`<i key=${at} style=${{ left: `${share(at)}%` }}>${text}</i>`)}</span>
        <span></span></div>
      <ol>${begun.slice(0, shown).map((node) => html`
        <li key=${node.id} class="tone-${tone(node.state)} ${on.has(node.id) ? "critical" : ""}">
          <a href=${to(`/jobs/${encodeURIComponent(node.job_id)}`)} title=${node.id}>${node.id}</a>
          <span class="track" role="img"
            aria-label=${`${label(node.state)}, ${duration(((node.end ?? now) - node.start) / 1_000)}`}>
            ${node.entries.filter((entry) => entry.start).slice(0, 400)
              .map((entry) => html`<i key=${entry.id} class="entry tone-${tone(entry.state)}"
              style=${{ left: `${share(entry.start)}%`,
                width: `max(1px, ${share(entry.end ?? now) - share(entry.start)}%)` }}></i>`)}
            <i class=${node.entries.length ? "whole" : ""}
              style=${{ left: `${share(node.start)}%`,
                width: `max(2px, ${share(node.end ?? now) - share(node.start)}%)` }}></i></span>
          <span class="num">${duration(((node.end ?? now) - node.start) / 1_000)}</span></li>`)}</ol>
      ${begun.length > shown
        && html`<button type="button" class="link" onClick=${() => setShown(shown + 5 * STEP)}>
          ${count(begun.length - shown)} more</button>`}
    </div>`;
}
