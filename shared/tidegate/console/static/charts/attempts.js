// A job's attempts along time: when it waited, when it ran, how each attempt ended.

import { clock, duration } from "../core/format.js";
import { useNow } from "../core/live.js";
import { isOpen, tone } from "../core/states.js";
import { html } from "../core/ui.js";
import { State } from "../parts/small.js";
import { timeTicks, useWidth } from "./scale.js";

const OUTCOMES = { running: "ACTIVE", completed: "COMPLETED", failed: "FAILED", cancelled: "CANCELLED",
  skipped: "SKIPPED", snoozed: "RETRY" };
const BAR = 16, FOOT = 18, TOP = 6;

export function Attempts({ job, history }) {
  const open = isOpen(job.state);
  const now = useNow(open ? 1_000 : 3_600_000);
  const attempts = history.attempts;
  return html`
    <${Line} job=${job} attempts=${attempts} now=${open ? now : Date.parse(job.completed_at ?? job.updated_at)} />
    ${attempts.length > 0
      && html`<table class="plain">
        <thead><tr><th scope="col" class="end">No.</th><th scope="col">Outcome</th><th scope="col">Started</th>
          <th scope="col" class="end">Took</th><th scope="col" class="no-phone">Worker</th></tr></thead>
      <tbody>${[...attempts].reverse().map((each) => html`<${Row} key=${each.attempt} attempt=${each} now=${now} />`)}
        </tbody></table>`}
    ${history.forgotten > 0
      && html`<p class="faint">
        ${history.forgotten} more left no record: they snoozed, or are older than the last 20 failures.</p>`}
    ${attempts.length === 0 && html`<p class="faint">It has not been started yet.</p>`}
    <${Changes} changes=${history.changes} />`;
}

function Row({ attempt, now }) {
  const end = attempt.ended_at ? Date.parse(attempt.ended_at) : now;
  return html`<tr><td class="end num">${attempt.attempt}</td>
    <td><${Outcome} outcome=${attempt.outcome} />
      ${attempt.error_message
        && html`<span class="under" title=${attempt.error_type}>${attempt.error_message}</span>`}</td>
    <td>${clock(attempt.started_at)}</td>
      <td class="end num">${attempt.started_at ? duration((end - Date.parse(attempt.started_at)) / 1_000) : "–"}</td>
    <td class="mono no-phone">${attempt.worker_id ?? "–"}</td></tr>`;
}

const Outcome = ({ outcome }) =>
  html`<${State} state=${OUTCOMES[outcome]} word=${outcome[0].toUpperCase() + outcome.slice(1)} />`;

/** One line from its birth to its end, or to now. */
function Line({ job, attempts, now }) {
  const [ref, width] = useWidth();
  const from = Date.parse(job.created_at), to = Math.max(now, from + 1_000);
  const x = (time) => ((Math.max(from, Date.parse(time)) - from) / (to - from)) * width;
  const bars = attempts.filter((each) => each.started_at).map((each) => {
    const left = x(each.started_at), right = each.ended_at ? x(each.ended_at) : width;
    return { each, left, wide: Math.max(3, right - left) };
  });
  const ticks = width ? timeTicks(from, to, Math.max(1, Math.floor(width / 90))) : [];
  const label = `${attempts.length} attempts in ${duration((to - from) / 1_000)}`;
  return html`<figure class="attempts" ref=${ref}>${width > 0 && html`
    <svg width=${width} height=${TOP + BAR + FOOT} role="img" aria-label=${label}>
      <path class="waited" d="M0 ${TOP + BAR / 2}H${width}" />
      ${bars.map(({ each, left, wide }) =>
        html`<rect key=${each.attempt} class="tone-${tone(OUTCOMES[each.outcome])}" x=${Math.min(left, width - 3)}
          y=${TOP} width=${wide} height=${BAR} rx="2">
        <title>Attempt ${each.attempt}: ${each.outcome}</title></rect>`)}
      ${ticks.map(({ at, text }) =>
        html`<text key=${at} class="tick" x=${((at - from) / (to - from)) * width} y=${TOP + BAR + 14}
          text-anchor="middle">${text}</text>`)}
    </svg>`}<figcaption class="faint num">
      ${clock(job.created_at)} – ${isOpen(job.state) ? "now"
      : clock(new Date(to).toISOString())}, ${duration((to - from) / 1_000)}</figcaption></figure>`;
}

const Changes = ({ changes }) => changes.length > 0 && html`
  <details class="changes"><summary>Every known change</summary><ol>${changes.map((change, index) => html`
    <li key=${index}><span class="num faint">${clock(change.at)}</span>
      <${State} state=${change.state} quiet=${true} />${change.note && html`<span class="note">${change.note}</span>`}
    </li>`)}</ol></details>`;
