// What jobs have cost: by day, by queue, and how much of a budget is used. Estimates, at list prices.

import { get } from "../core/api.js";
import { daysAgo, dollars } from "../core/format.js";
import { useData } from "../core/live.js";
import { route, setQuery, to } from "../core/router.js";
import { html } from "../core/ui.js";
import { Days } from "../charts/days.js";
import { Ago, Head, Nothing, Panel } from "../parts/small.js";

const SPANS = { 7: "7 days", 30: "30 days", 90: "90 days" };
const PERIODS = { day: "Today", month: "This month" };

export default function Costs() {
  const asked = route.use().query.get("days");
  const days = SPANS[asked] ? Number(asked) : 30;
  const found = useData((signal) => get("/costs", { from: daysAgo(days - 1) }, signal), [days], { every: 30_000 });
  const costs = found.data?.costs;
  return html`
    <${Head} title="Costs" note="estimated, at list prices">
      <div class="switch" role="group" aria-label="Time shown">
        ${Object.entries(SPANS).map(([value, text]) => html`<button type="button" key=${value}
          aria-pressed=${Number(value) === days} onClick=${() => setQuery({ days: value === "30" ? null : value })}>
          ${text}</button>`)}
      </div>
    </${Head}>
    ${costs ? html`<${Spent} costs=${costs} days=${days} />` : html`<${Nothing} ...${found} />`}`;
}

const Spent = ({ costs, days }) => html`
  <dl class="strip">
    <${Figure} name="Today" value=${costs.days.at(-1).dollars} note="since midnight, UTC" />
    <${Figure} name="Yesterday" value=${costs.days.at(-2).dollars} note="the whole day" />
    <${Figure} name=${`In ${SPANS[days]}`} value=${costs.dollars}
      note=${`${dollars(costs.dollars / costs.days.length)} a day`} />
  </dl>
  <${Panel} title="By day"><${Days} days=${costs.days} /></${Panel}>
  <div class="columns two">
    <${Panel} title="By queue"><${Queues} costs=${costs} /></${Panel}>
    <${Panel} title="Budgets"><${Budgets} budgets=${costs.budgets ?? []} /></${Panel}>
  </div>
  <p class="faint foot">Prices of ${costs.region}, ${costs.prices_as_of}. A server on your own machine bills nothing:
    there the figures say what the same jobs would cost in the cloud.</p>`;

const Figure = ({ name, value, note }) => html`
  <div><dt>${name}</dt><dd class="num">${dollars(value)}</dd><dd class="note">${note}</dd></div>`;

function Queues({ costs }) {
  const queues = Object.entries(costs.queues).sort(([, one], [, other]) => other - one);
  if (!queues.length) return html`<p class="faint">No job has cost anything in this time.</p>`;
  const share = (spent) => (costs.dollars ? (100 * spent) / costs.dollars : 0);
  return html`<table class="plain">
    <thead><tr><th scope="col">Queue</th><th scope="col">Share</th><th scope="col" class="end">Dollars</th></tr></thead>
    <tbody>${queues.map(([queue, spent]) => html`<tr key=${queue}>
      <td><a href=${to("/jobs", { queue })}>${queue}</a></td>
      <td><span class="meter"><i style=${{ width: `${share(spent)}%` }}></i></span>
        <span class="num faint">${Math.round(share(spent))} %</span></td>
      <td class="end num">${dollars(spent)}</td></tr>`)}</tbody></table>`;
}

function Budgets({ budgets }) {
  if (!budgets.length) return html`<p class="faint">None is set.
    ${" "}<code>tidegate tenant set daily_budget=5</code> does that.</p>`;
  return html`<ul class="budgets">${budgets.map((each) => html`<${Budget} key=${each.period} budget=${each} />`)}</ul>`;
}

function Budget({ budget: { period, dollars: spent, budget, warn_at: warnAt, reached, until } }) {
  const share = budget ? spent / budget : 1;
  const tone = reached ? "failed" : share >= warnAt ? "retry" : "completed";
  return html`<li class=${`tone-${tone}`}>
    <div class="line"><b>${PERIODS[period] ?? period}</b>
      <span class="num">${dollars(spent)} of ${dollars(budget)}</span>
      <span class="push num">${Math.round(100 * share)} %</span></div>
    <span class="meter wide"><i style=${{ width: `${Math.min(100, 100 * share)}%` }}></i></span>
    <p class="faint">${reached ? html`Nothing more is accepted; it begins anew <${Ago} time=${until} />.`
      : html`Begins anew <${Ago} time=${until} />.`}</p></li>`;
}
