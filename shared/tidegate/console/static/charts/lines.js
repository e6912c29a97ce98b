// Lines over time on a logarithmic scale: durations differ by more than a straight scale can show.

import { duration } from "../core/format.js";
import { html, useState } from "../core/ui.js";
import { timeTicks, useWidth } from "./scale.js";

const HEIGHT = 150, TOP = 10, FOOT = 20, LEFT = 48;

/** `points`: { at, values: [seconds | null, …] }; `names` of the values, `tones` of their lines. */
export function Lines({ points, names, tones, label }) {
  const [ref, width] = useWidth();
  const [over, setOver] = useState(null);
  const values = points.flatMap((point) => point.values.filter((value) => value > 0));
  if (!values.length) return html`<figure class="lines" ref=${ref}>
    <p class="faint empty">No job has completed in this time.</p></figure>`;
  const low = Math.log10(Math.min(...values)) - 0.1, high = Math.log10(Math.max(...values)) + 0.1;
  const inner = width - LEFT - 6;
  const x = (index) => LEFT + (points.length === 1 ? 0.5 : index / (points.length - 1)) * inner;
  const y = (value) =>
    TOP + (HEIGHT - TOP - FOOT) * (1 - (Math.log10(Math.max(value, 1e-6)) - low) / Math.max(high - low, 0.2));
  const last = points.length - 1;
  const move = (event) => setOver(Math.max(0, Math.min(last, Math.round(((event.offsetX - LEFT) / inner) * last))));
  const from = Date.parse(points[0].at), to = Date.parse(points.at(-1).at);
  const ticks = timeTicks(from, to, Math.max(2, Math.floor(inner / 80)));
  const place = (at) => LEFT + ((at - from) / Math.max(1, to - from)) * inner;
  return html`
    <figure class="lines" ref=${ref}>
      ${width > 0
        && html`<svg width=${width} height=${HEIGHT} role="img" aria-label=${label} onMouseMove=${move}
          onMouseLeave=${() => setOver(null)}>
        ${levels(low, high).map((value) => html`<g key=${value} class="grid"><path d="M${LEFT} ${y(value)}H${width}" />
          <text x=${LEFT - 8} y=${y(value) + 4} text-anchor="end">${duration(value)}</text></g>`)}
        ${ticks.map(({ at, text }) =>
          html`<text key=${at} class="tick" x=${place(at)} y=${HEIGHT - 5} text-anchor="middle">${text}</text>`)}
        ${names.map((name, index) =>
          html`<${Line} key=${name} tone=${tones[index]}
            points=${points.map((point, n) => [x(n), point.values[index]])
            .map(([px, value]) => (value > 0 ? [px, y(value)] : null))} />`)}
        ${over !== null && html`<path class="over-line" d="M${x(over)} ${TOP}V${HEIGHT - FOOT}" />`}
      </svg>`}
      <figcaption>
        ${names.map((name, index) => html`<span key=${name}><i class="key tone-${tones[index]}"></i>${name}${" "}
        <b class="num">
          ${duration((over === null ? points.findLast((point) => point.values[index] > 0)
            : points[over])?.values[index])}</b></span>`)}
        ${over !== null
          && html`<span class="faint">
            ${new Date(points[over].at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}</span>`}
          </figcaption>
    </figure>`;
}

/** A line with gaps where there is no value, and dots for values that stand alone. */
function Line({ points, tone }) {
  let path = "", dots = [];
  for (const [index, point] of points.entries()) {
    if (!point) continue;
    path += `${points[index - 1] ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    if (!points[index - 1] && !points[index + 1]) dots.push(point);
  }
  return html`<g class="tone-${tone}"><path class="line" d=${path} />
    ${dots.map(([cx, cy]) => html`<circle key=${cx} cx=${cx} cy=${cy} r="2.5" />`)}</g>`;
}

const LEVELS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600, 36_000, 360_000];
const levels = (low, high) => LEVELS.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
