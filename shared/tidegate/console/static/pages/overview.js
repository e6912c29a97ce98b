// How the water stands: what runs, what waits and why, what failed.

import { get } from "../core/api.js";
import { coarse, count, daysAgo, dollars, duration, percent, plural, short, tail } from "../core/format.js";
import { useData } from "../core/live.js";
import { route, setQuery, to } from "../core/router.js";
import { BANDS } from "../core/states.js";
import { html } from "../core/ui.js";
import { Lines } from "../charts/lines.js";
import { Tide } from "../charts/tide.js";
import { useQueues } from "../parts/held.js";
import { Reasons } from "../parts/reasons.js";
import { Ago, Head, JobLink, Nothing, Panel, Progress } from "../parts/small.js";

const WINDOWS = { 3: "3 hours", 24: "24 hours", 168: "7 days" };
const ANY = () => true;

export default function Overview() {
  const hours = WINDOWS[route.use().query.get("hours")] ? Number(route.get().query.get("hours")) : 24;
  const figures = useData(async (signal) => {
    const paths = ["/pipeline/status", "/stats", "/stats/depth", "/stats/queues", "/stats/sla"];
    const answers = await Promise.all(paths.map((path) => get(path, null, signal)));
    return Object.assign({}, ...answers);
  }, [], { every: 10_000, on: ANY });
  const past = useData(async (signal) => {
    const [timeline, hourly, today] = await Promise.all([
      get("/stats/timeline", { hours }, signal), get("/stats/throughput", { hours: Math.max(hours, 12) }, signal),
      get("/costs", { from: daysAgo(1) }, signal).catch(() => null), // a browser's clock may be days off
    ]);
    return { ...timeline.timeline, hourly: hourly.throughput, cost: today?.costs.days.at(-1).dollars };
  }, [hours], { every: 15_000, on: ANY });
  return html`
    <${Head} title="Overview">
      <div class="switch" role="group" aria-label="Time shown">
        ${Object.entries(WINDOWS)
          .map(([value, text]) => html`<button type="button" key=${value} aria-pressed=${Number(value) === hours}
          onClick=${() => setQuery({ hours: value === "24" ? null : value })}>${text}</button>`)}
      </div>
    </${Head}>
    <${Strip} figures=${figures} past=${past.data} hours=${hours} />
    <${Panel} title="Completed and failed" className="bare-panel">
      ${past.data ? html`<${Tide} points=${past.data.points} step=${past.data.step_seconds * 1_000} />`
        : html`<${Nothing} ...${past} />`}
    </${Panel}>
    <div class="columns three">
      <${Waiting} figures=${figures} />
      <${Running} />
      <${Failing} />
    </div>
    <div class="columns two">
      <${QueueFigures} figures=${figures} />
      <${Panel} title="How long jobs run">
        ${past.data
          ? html`<${Lines} label="Run time of completed jobs, median and 99th percentile" names=${["median", "99 %"]}
            tones=${["completed", "retry"]}
          points=${past.data.hourly.map((hour) =>
            ({ at: hour.hour, values: [hour.p50_run_seconds, hour.p99_run_seconds] }))} />`
          : html`<${Nothing} ...${past} />`}
      </${Panel}>
    </div>`;
}

/** The figures at a glance, in one line. */
function Strip({ figures, past, hours }) {
  const { data } = figures;
  if (!data) return html`<${Nothing} ...${figures} />`;
  const { status, depth, sla } = data;
  const missed = sla.missed_soft + sla.missed_hard;
  const slots = status.max_concurrent_jobs;
  const within = `in ${WINDOWS[hours]}`;
  return html`
    <dl class="strip">
      <${Figure} name="Running" value=${short(status.active_jobs)} note=${slots ? `of ${plural(slots, "slot")}` : ""}
        href=${to("/jobs", { state: "ACTIVE" })} />
      <${Figure} name="Waiting" value=${short(depth.total)}
        note=${depth.total ? `longest ${coarse(depth.oldest_seconds)}` : "nobody waits"}
        tone=${depth.oldest_seconds > 900 ? "retry" : ""} href=${to("/jobs", { state: "CREATED,RETRY" })} />
      <${Figure} name="Scheduled" value=${short(status.scheduled_jobs)} note="for their time" />
      <${Figure} name="Workers" value=${short(status.worker_count)} note="seen in a minute"
        tone=${!status.worker_count && depth.total ? "failed" : ""} href=${to("/workers")} />
      <${Figure} name="Completed" value=${short(past?.completed)} note=${within}
        href=${to("/jobs", { state: "COMPLETED" })} />
      <${Figure} name="Failed" value=${short(past?.failed)} note=${within} tone=${past?.failed ? "failed" : ""}
        href=${to("/jobs", { state: "FAILED" })} />
      <${Figure} name="Success" value=${percent(past?.success_rate)} note="of all ended" />
      <${Figure} name="Median run" value=${duration(past?.p50_run_seconds)}
        note=${`99 % in ${duration(past?.p99_run_seconds)}`} />
      <${Figure} name="Cost today" value=${dollars(past?.cost)} note="estimated" href=${to("/costs")} />
      ${sla.queues.length > 0
        && html`<${Figure} name="Deadlines" value=${short(sla.at_risk)} note=${`at risk; ${short(missed)} missed`}
          tone=${sla.at_risk ? "retry" : ""} />`}
    </dl>`;
}

const Figure = ({ name, value, note, tone = "", href }) => html`
  <div class=${tone && `tone-${tone}`}><dt>${href ? html`<a href=${href}>${name}</a>` : name}</dt>
    <dd class="num">${value}</dd><dd class="note">${note}</dd></div>`;

/** Who waits, by the four bands that become queues of tickets; and what stands in the way. */
function Waiting({ figures }) {
  const { data } = figures;
  const queues = useQueues(20_000);
  const most = data ? Math.max(1, ...BANDS.map((band) => data.depth.bands[band])) : 1;
  return html`<${Panel} title="Waiting" side=${data && html`<span class="num faint">${count(data.depth.total)}</span>`}>
    ${!data ? html`<${Nothing} ...${figures} />` : html`
      <ul class="gates">${BANDS.map((band) => html`<li key=${band} class=${`band-${band}`}>
        <span>${band}</span>
        <span class="bar"><i style=${{ width: `${(100 * data.depth.bands[band]) / most}%` }}></i></span>
        <span class="num">${count(data.depth.bands[band])}</span></li>`)}</ul>
      <${Reasons} data=${data} queues=${[...queues.values()]} />`}
  </${Panel}>`;
}

function Running() {
  const running = useData((signal) => get("/jobs", { state: "ACTIVE", limit: 8, brief: true, count: false }, signal),
    [], { every: (data) => (data?.jobs.length ? 3_000 : 10_000), on: ANY });
  return html`<${Panel} title="Running" side=${html`<a href=${to("/jobs", { state: "ACTIVE" })}>all</a>`}>
    ${!running.data?.jobs.length ? html`<${Nothing} ...${running}><p>No job runs at the moment.</p></${Nothing}>`
      : html`
      <ul class="lines-list">${running.data.jobs.map((job) => html`<li key=${job.id}>
        <div class="line"><${JobLink} id=${job.id}>${job.name}</${JobLink}><span class="faint mono">${tail(job.id)}
          </span>
          <span class="push num"><${Ago} time=${job.started_at} /></span></div>
        ${job.progress && html`<${Progress} fraction=${job.progress.fraction} message=${job.progress.message} />`}
      </li>`)}</ul>`}
  </${Panel}>`;
}

function Failing() {
  const errors = useData((signal) => get("/stats/errors", { top: 5, sample: 200 }, signal), [],
    { every: 15_000, on: (event) => event.type === "job.failed" });
  return html`<${Panel} title="Failing" side=${html`<a href=${to("/jobs", { state: "FAILED" })}>all</a>`}>
    ${!errors.data?.errors.length ? html`<${Nothing} ...${errors}><p>No failed job is kept.</p></${Nothing}>` : html`
      <ul class="lines-list">${errors.data.errors.map((error) => html`<li key=${error.message}>
        <div class="line"><b class="num tone-failed">${count(error.count)}×</b>
          <${JobLink} id=${error.job_id}>${error.names.join(", ")}</${JobLink}>
          <span class="push"><${Ago} time=${error.last_at} /></span></div>
        <p class="message" title=${error.message}>${error.message || "no message"}</p></li>`)}</ul>`}
  </${Panel}>`;
}

function QueueFigures({ figures }) {
  const queues = [...(figures.data?.queues ?? [])].sort((a, b) => b.depth + b.running - a.depth - a.running)
    .slice(0, 8);
  return html`<${Panel} title="Queues">
    ${!queues.length ? html`<${Nothing} ...${figures}><p>No queue has had a job yet.</p></${Nothing}>` : html`
      <table class="plain">
        <thead><tr><th scope="col">Queue</th><th scope="col" class="end">Waiting</th>
          <th scope="col" class="end">Running</th><th scope="col" class="end">Failed</th>
          <th scope="col" class="end">Completed</th></tr></thead>
        <tbody>${queues.map((queue) =>
          html`<tr key=${queue.queue}><td><a href=${to("/jobs", { queue: queue.queue })}>${queue.queue}</a></td>
          <td class="end num">${count(queue.depth)}</td><td class="end num">${count(queue.running)}</td>
          <td class="end num ${queue.states.FAILED ? "tone-failed" : "faint"}">${count(queue.states.FAILED)}</td>
            <td class="end num">${count(queue.states.COMPLETED)}</td></tr>`)}</tbody></table>`}
  </${Panel}>`;
}
