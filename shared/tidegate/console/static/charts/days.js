// What was spent, in columns of one day each; the day under way is the last.

import { dollars } from "../core/format.js";
import { html, useState } from "../core/ui.js";
import { useWidth } from "./scale.js";

const HEIGHT = 170, TOP = 14, FOOT = 20, LEFT = 62, TICK = 40;
const DAY = { day: "numeric", month: "short", timeZone: "UTC" };

/** "3 May" */
export const dayText = (day) => new Date(`${day}T00:00:00Z`).toLocaleDateString("en-GB", DAY);

/** `days`: { day, dollars, queues } of all days, oldest first. */
export function Days({ days }) {
  const [ref, width] = useWidth();
  const [over, setOver] = useState(null);
  const total = days.reduce((sum, each) => sum + each.dollars, 0);
  const label = `${dollars(total)} from ${dayText(days[0].day)} to ${dayText(days.at(-1).day)}, days of UTC`;
  const within = (index) => Math.max(0, Math.min(days.length - 1, index));
  const keys = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    setOver(within((over ?? days.length) + by));
  };
  return html`
    <figure class="days tide" ref=${ref}>
      ${width > 0
        && html`<svg width=${width} height=${HEIGHT} role="img" tabindex="0" aria-label=${label} onKeyDown=${keys}
          onMouseMove=${(event) => setOver(within(Math.floor(((event.offsetX - LEFT) / (width - LEFT)) * days.length)))}
          onMouseLeave=${() => setOver(null)} onBlur=${() => setOver(null)}>
          <${Columns} days=${days} width=${width} over=${over} /></svg>`}
      <figcaption role="status">
        ${over === null ? html`<span class="faint">${label}</span>` : html`<${Reading} day=${days[over]} />`}
      </figcaption>
    </figure>`;
}

function Columns({ days, width, over }) {
  const most = Math.max(...days.map((each) => each.dollars)) || 1;
  const column = (width - LEFT) / days.length, space = HEIGHT - TOP - FOOT, floor = HEIGHT - FOOT;
  const gap = column > 5 ? 1 : 0.5, every = Math.max(1, Math.ceil(64 / column));
  const x = (index) => LEFT + index * column;
  const high = (value) => (value ? Math.max(1, (value / most) * space) : 0);
  return html`
    ${[1, 0.5].map((share) => html`<g key=${share} class="grid"><path d="M${LEFT} ${floor - share * space}H${width}" />
      <text x=${LEFT - 8} y=${floor - share * space + 4} text-anchor="end">${dollars(most * share)}</text></g>`)}
    ${days.map(({ day }, index) => index % every === 0 && x(index) + TICK < width
      && html`<text key=${day} class="tick" x=${x(index)} y=${HEIGHT - 5}>${dayText(day)}</text>`)}
    ${over !== null && html`<rect class="over" x=${x(over)} y=${TOP} width=${column} height=${space} />`}
    <path class="completed" d=${days.map((each, index) =>
      `M${x(index).toFixed(2)} ${floor}v${-high(each.dollars).toFixed(2)}h${(column - gap)
        .toFixed(2)}V${floor}z`).join("")} />
    <path class="waterline" d="M${LEFT} ${floor + 0.5}H${width}" />`;
}

const Reading = ({ day }) => html`<b>${dayText(day.day)}</b><span class="num">${dollars(day.dollars)}</span>
  ${Object.entries(day.queues).sort(([, one], [, other]) => other - one).slice(0, 4).map(([queue, spent]) =>
    html`<span key=${queue} class="num faint">${queue} ${dollars(spent)}</span>`)}`;
