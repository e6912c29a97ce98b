// One job: what became of it, why, what it told, what can be done.

import { at, get } from "../core/api.js";
import { between, clock, dollars, duration } from "../core/format.js";
import { useData, useNow } from "../core/live.js";
import { to } from "../core/router.js";
import { band, isOpen } from "../core/states.js";
import { html } from "../core/ui.js";
import { Attempts } from "../charts/attempts.js";
import { JobActions } from "../parts/job_actions.js";
import { JsonPanel } from "../parts/json.js";
import { Log } from "../parts/log.js";
import { Ago, Clock, Copy, Facts, Head, Nothing, Panel, Progress, State } from "../parts/small.js";
import { Why } from "../parts/why.js";

export default function JobPage({ id }) {
  const mine = (event) => event.job?.id === id;
  const found = useData((signal) => get(at("jobs", id), null, signal), [id],
    { every: (data) => (data?.job.state === "ACTIVE" ? 1_500 : 10_000), on: mine });
  const job = found.data?.job;
  const past = useData((signal) => get(at("jobs", id, "history"), null, signal), [id, job?.state, job?.attempt],
    { every: 30_000, on: mine });
  if (!job) return html`<${Nothing} ...${found} />`;
  const refresh = () => { found.refresh(); past.refresh(); };
  return html`
    <${Head} title=${job.name} crumbs=${html`<a href=${to("/jobs")}>Jobs</a>`}
      note=${html`<span class="mono id">${job.id}</span><${Copy} text=${job.id} what="the id" />`}>
      <${JobActions} job=${job} changed=${refresh} />
    </${Head}>
    <div class="lead">
      <${State} state=${job.state} />
      <${Moment} job=${job} />
      ${job.cancel_requested && isOpen(job.state) && html`<span class="tag tone-cancelled">asked to stop</span>`}
      ${job.state === "ACTIVE" && job.progress
        && html`<div class="live-progress">
          <${Progress} fraction=${job.progress.fraction} message=${job.progress.message} />
          <span>${job.progress.message}</span></div>`}
    </div>
    ${job.error_message
      && html`<div class="error-box" role="note"><b>${FAULTS[job.error_type] ?? job.error_type}</b>
        <pre>${job.error_message}</pre></div>`}
    ${job.reason && html`<p class="remark"><span>${job.reason}</span></p>`}
    <${Why} job=${job} />
    <div class="columns main-side">
      <div>
        <${Panel} title="Attempts">
          ${past.data ? html`<${Attempts} job=${job} history=${past.data} />` : html`<${Nothing} ...${past} />`}
        </${Panel}>
        <${Log} id=${id} open=${isOpen(job.state)} key=${id} />
      </div>
      <div>
        <${Panel} title="Facts"><${JobFacts} job=${job} /></${Panel}>
        <${JsonPanel} title="Data" value=${job.data} omitted=${job.omitted?.includes("data")} />
        <${JsonPanel} title="Result" value=${job.result} omitted=${job.omitted?.includes("result")} />
      </div>
    </div>`;
}

const FAULTS = {
  agent: "Its handler raised", database: "Its database failed it", validation: "It cannot be run as it is",
  timeout: "It took longer than it may", system: "Its worker vanished, or the platform failed",
};

/** Since when it stands as it does, or how long it took. */
function Moment({ job }) {
  const now = useNow(1_000);
  if (job.state === "ACTIVE") return html`<span>for <b class="num">${duration(between(job.started_at, null, now))}</b>
    </span>`;
  if (!isOpen(job.state)) {
    const took = job.started_at
      && html`, ran <b class="num">${duration(between(job.started_at, job.completed_at))}</b>`;
    return html`<span><${Ago} time=${job.completed_at} />${took}</span>`;
  }
  if (job.start_after
    && Date.parse(job.start_after) > now) return html`<span>starts <${Ago} time=${job.start_after} /></span>`;
  return html`<span>since <${Ago} time=${job.updated_at} /></span>`;
}

const STANDINGS = {
  in_time: "in time", at_risk: html`<b class="tone-retry">at risk</b>`,
    met: html`<span class="tone-completed">met</span>`,
  soft_missed: html`<b class="tone-failed">soft one missed</b>`,
    hard_missed: html`<b class="tone-failed">hard one missed</b>`,
};

function JobFacts({ job }) {
  const tags = job.tags.length
    ? job.tags.map((tag) => html`<a key=${tag} class="tag" href=${to("/jobs", { tag })}>${tag}</a>`) : null;
  const pairs = Object.entries(job.metadata);
  const metadata = pairs.length
    ? pairs.map(([key, value]) =>
      html`<a key=${key} class="tag" href=${to("/jobs", { metadata: `${key}=${value}` })}>${key}=${value}</a>`) : null;
  return html`<${Facts} rows=${[
    ["Queue", html`<a href=${to("/jobs", { queue: job.queue })}>${job.queue}</a>`],
    ["Priority", html`<span class="band band-${band(job.priority)}">${job.priority}</span> ${band(job.priority)}`],
    ["Run", job.dag_id
      && html`<a class="mono" href=${to(`/runs/${encodeURIComponent(job.dag_id)}`)}>${job.node ?? job.dag_id}</a>`],
    ["Owner", job.owner],
    ["Tags", tags],
    ["Metadata", metadata],
    ["Attempts", `${job.attempt}, ${job.retry_count} of ${job.retry_limit} retries used`],
    ["Worker", job.worker_id && html`<span class="mono">${job.worker_id}</span>`],
    ["Created", html`<${Clock} time=${job.created_at} />`],
    ["Start after", job.start_after && html`<${Clock} time=${job.start_after} />`],
    ["Next try", job.state === "RETRY" && job.wake_at ? html`<${Ago} time=${job.wake_at} />` : null],
    ["Started", job.started_at && html`<${Clock} time=${job.started_at} />`],
    ["Ended", job.completed_at && html`<${Clock} time=${job.completed_at} />`],
    ["Expires", isOpen(job.state) && job.expires_at ? html`<${Clock} time=${job.expires_at} />` : null],
    ["Deadlines", STANDINGS[job.sla]],
    ["Soft deadline", job.soft_sla && html`<${Deadline} job=${job} time=${job.soft_sla} />`],
    ["Hard deadline", job.hard_sla && html`<${Deadline} job=${job} time=${job.hard_sla} />`],
    ["Time-out", job.timeout && duration(job.timeout)],
    ["Cost so far", html`<span title="estimated, at list prices">${dollars(job.cost)}</span>`],
    ["Request", job.correlation_id && job.correlation_id !== job.trace_id && html`<${Name} text=${job.correlation_id}
      what="the name of its request" />`],
    ["Trace", job.trace_id && html`<${Name} text=${job.trace_id} what="the id of its trace" />`],
  ]} />`;
}

const Name = ({ text, what }) => html`<span class="mono id">${text}</span><${Copy} text=${text} what=${what} />`;

function Deadline({ job, time }) {
  const now = useNow(10_000);
  const missed = (job.completed_at ? Date.parse(job.completed_at) : now) > Date.parse(time);
  return html`<span class=${missed ? "tone-failed" : ""} title=${clock(time)}><${Ago} time=${time} />
    ${missed ? ", missed" : ""}</span>`;
}
