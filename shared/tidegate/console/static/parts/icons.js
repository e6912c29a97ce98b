// Signs: drawn in strokes of the text's colour, on a field of 16.

import { html } from "../core/ui.js";
import { STATES } from "../core/states.js";

const PATHS = {
  overview: "M2 11.5c1.5-2 3-2 4.5 0M2 8c1.5-2 3-2 4.5 0s3 2 4.5 0 2-1.5 3-1"
    + "M6.5 11.5c1.5 2 3 2 4.5 0s2-1.5 3-1M2 4.5c1.5-2 3-2 4.5 0s3 2 4.5 0 2-1.5 3-1",
  jobs: "M3 4.5h10M3 8h10M3 11.5h6",
  runs: "M4 3.5a1.5 1.5 0 1 0 0 .01M12 8a1.5 1.5 0 1 0 0 .01M4 12.5a1.5 1.5 0 1 0 0 .01"
    + "M5.5 3.8c3 0 2.5 4.2 5 4.2-2.5 0-2 4.2-5 4.2",
  schedules: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2l2.2 1.5",
  queues: "M3 3v10M13 3v10M6.3 3v10M9.7 3v10",
  workers: "M3 6.5h10v6.5H3zM6 6.5V4a2 2 0 0 1 4 0v2.5M6 10h4",
  costs: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z"
    + "M9.9 6.3C9.6 5.6 8.9 5.2 8 5.2c-1.1 0-1.9.5-1.9 1.4 0 2 3.8.8 3.8 2.8"
    + " 0 .9-.9 1.4-1.9 1.4s-1.7-.4-2-1.1M8 4.3v.9M8 10.8v.9",
  dead: "M3 4.5h10v8H3zM3 4.5l5 4.5 5-4.5",
  access: "M5.5 8.2a2.7 2.7 0 1 0 0 .01M8 8.2h6M11.5 8.2v2.3M13.7 8.2v1.7",
  search: "M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM10 10l3.5 3.5",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3"
    + "M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  moon: "M12.8 9.6A5.3 5.3 0 0 1 6.4 3.2a5.3 5.3 0 1 0 6.4 6.4z",
  auto: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h7v7h-7zM3.5 10V3.5H10",
  check: "M3.5 8.4l3 3 6-6.6",
  left: "M9.5 3.5L5 8l4.5 4.5",
  right: "M6.5 3.5L11 8l-4.5 4.5",
  down: "M4 6.5L8 10.5l4-4",
  fit: "M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.5v9l7-4.5z",
  help: "M6 6a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M8 11.7v.1",
  leave: "M9.5 3H4v10h5.5M7 8h6.5M11.5 6l2 2-2 2",
  audit: "M4 2.5h6l2.5 2.5v8.5H4zM6.2 7h4.2M6.2 9.3h4.2M6.2 11.5h2.4",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  retry: "M12.6 6.2A5 5 0 1 0 13 8.6M13 3.2v3.2H9.8",
  alert: "M8 2.5l6 10.5H2zM8 6.5v3M8 11.2v.1",
};

/** A sign that stands beside words; it is nothing to readers of the screen. */
export const Icon = ({ name, size = 16 }) => html`
  <svg class="icon" width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} />
    </svg>`;

/** The sign of a state, in its colour. */
export const Sign = ({ state, size = 16 }) => {
  const { sign, tone, filled } = STATES[state] ?? STATES.CREATED;
  return html`<svg class="icon sign tone-${tone} ${filled ? "filled" : ""}" width=${size} height=${size}
    viewBox="0 0 16 16" aria-hidden="true"><path d=${sign} /></svg>`;
};

/** The gate over the water: the sign of the product. */
export const Mark = ({ size = 26 }) => html`
  <svg class="mark" width=${size} height=${size} viewBox="0 0 32 32" aria-hidden="true">
    <path class="gate" d="M8 4v15M16 4v15M24 4v15" />
    <path class="wave" d="M2 23c2.3-2.8 4.7-2.8 7 0s4.7 2.8 7 0 4.7-2.8 7 0 4.7 2.8 7 0" />
  </svg>`;
