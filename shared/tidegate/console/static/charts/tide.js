// The tide: what completed stands above the waterline, what failed hangs below it, in columns of one step each.

import { count, plural } from "../core/format.js";
import { html, useState } from "../core/ui.js";
import { ceiling, timeTicks, useWidth } from "./scale.js";

const HEIGHT = 190, TOP = 10, FOOT = 20, LEFT = 40;

/** `points`: { at, completed, failed }, each `step` ms wide. */
export function Tide({ points, step }) {
  const [ref, width] = useWidth();
  const [over, setOver] = useState(null);
  const done = sum(points, "completed"), failed = sum(points, "failed");
  const label = `${plural(done, "job")} completed and ${count(failed)} failed`;
  const move = (event) =>
    setOver(Math.max(0,
      Math.min(points.length - 1, Math.floor(((event.offsetX - LEFT) / (width - LEFT)) * points.length))));
  const keys = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    setOver(Math.max(0, Math.min(points.length - 1, (over ?? points.length) + by)));
  };
  return html`
    <figure class="tide" ref=${ref}>
      ${width > 0
        && html`<svg width=${width} height=${HEIGHT} role="img" tabindex="0" aria-label=${label} onKeyDown=${keys}
        onMouseMove=${move} onMouseLeave=${() => setOver(null)} onBlur=${() => setOver(null)}>
        <${Water} points=${points} step=${step} width=${width} over=${over} /></svg>`}
      <figcaption role="status">
        ${over === null ? html`<span class="faint">${label}</span>`
        : html`<${Reading} point=${points[over]} step=${step} />`}</figcaption>
    </figure>`;
}

const sum = (points, name) => points.reduce((total, point) => total + point[name], 0);

function Water({ points, step, width, over }) {
  const inner = width - LEFT, column = inner / points.length;
  const most = ceiling(Math.max(1, ...points.map((point) => point.completed)));
  const worst = Math.max(0, ...points.map((point) => point.failed));
  const space = HEIGHT - TOP - FOOT;
  const scale = space / (most + Math.max(worst, most * 0.12));
  const line = TOP + most * scale;
  const x = (index) => LEFT + index * column;
  const gap = column > 5 ? 1 : column > 2.5 ? 0.5 : 0;
  const columns = (name, sign) => points.map((point, index) => {
    const high = point[name] && Math.max(1, point[name] * scale);
    return high
      ? `M${x(index).toFixed(2)} ${line + sign / 2}v${(sign * high).toFixed(2)}h${(column - gap)
        .toFixed(2)}v${(-sign * high).toFixed(2)}z` : "";
  }).join("");
  const from = Date.parse(points[0].at), to = from + points.length * step;
  const ticks = timeTicks(from, to, Math.max(2, Math.floor(inner / 90)));
  return html`
    ${[most, most / 2].map((value) =>
      html`<g key=${value} class="grid"><path d="M${LEFT} ${line - value * scale}H${width}" />
      <text x=${LEFT - 8} y=${line - value * scale + 4} text-anchor="end">${count(value)}</text></g>`)}
    ${ticks.map(({ at, text }) =>
      html`<text key=${at} class="tick" x=${LEFT + ((at - from) / (to - from)) * inner} y=${HEIGHT - 5}
        text-anchor="middle">${text}</text>`)}
    ${over !== null && html`<rect class="over" x=${x(over)} y=${TOP} width=${Math.max(column, 1)} height=${space} />`}
    <path class="completed" d=${columns("completed", -1)} />
    <path class="failed" d=${columns("failed", 1)} />
    <path class="waterline" d="M${LEFT} ${line}H${width}" />`;
}

function Reading({ point, step }) {
  const from = new Date(point.at), to = new Date(from.getTime() + step);
  const time = (date) => date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = from.toDateString() === new Date().toDateString() ? ""
    : `${from.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} `;
  return html`<b>${day}${time(from)}–${time(to)}
    </b> <span class="tone-completed">${count(point.completed)} completed</span>
    <span class=${point.failed ? "tone-failed" : "faint"}>${count(point.failed)} failed</span>`;
}
