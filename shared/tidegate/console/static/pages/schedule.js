// One schedule: its rule, its times to come, what became of the latest, and what can be done.

import { at, del, get, post } from "../core/api.js";
import { clock, count, duration, exact, plural, tail } from "../core/format.js";
import { useData } from "../core/live.js";
import { go, to } from "../core/router.js";
import { may } from "../core/session.js";
import { html } from "../core/ui.js";
import { Spark, fateText, fateTone } from "../charts/spark.js";
import { ask } from "../parts/dialog.js";
import { JsonPanel } from "../parts/json.js";
import { Ago, Clock, Facts, Head, JobLink, Nothing, Panel, State } from "../parts/small.js";
import { told } from "../parts/toast.js";

export default function SchedulePage({ ref_: ref }) {
  const found = useData((signal) => get(at("schedules", ref), null, signal), [ref], { every: 5_000 });
  const schedule = found.data?.schedule;
  const times = useData(async (signal) => {
    const [next, past] = await Promise.all([
      get(at("schedules", ref, "next"), { n: 8 }, signal), get(at("schedules", ref, "history"), null, signal),
    ]);
    return { next: next.next_runs, past: past.runs };
  }, [ref, schedule?.updated_at, schedule?.fired],
    { every: 8_000, on: (event) => times.data?.past.some((run) => made(run) && made(run) === subject(event)) });
  if (!schedule) return html`<${Nothing} ...${found} />`;
  const refresh = () => { found.refresh(); times.refresh(); };
  return html`
    <${Head} title=${schedule.name} crumbs=${html`<a href=${to("/schedules")}>Schedules</a>`}
      note=${html`<span class="mono">${schedule.expression}</span> ${schedule.timezone}`}>
      <${Actions} schedule=${schedule} changed=${refresh} />
    </${Head}>
    <div class="lead">
      ${schedule.enabled ? html`<span>next <b><${Ago} time=${schedule.next_run} none="never: it is over" /></b></span>`
        : html`<span class="tag tone-retry">paused</span>
          <span>${[schedule.paused_by, schedule.paused_reason].filter(Boolean).join(": ")}</span>`}
      <span>fired ${plural(schedule.fired, "time")}</span>
      ${schedule.backfill
        && html`<span
          class="tag">backfill: ${count(schedule.backfill.made)} made, up to ${clock(schedule.backfill.until)}</span>`}
    </div>
    ${schedule.last_error
      && html`<div class="error-box"><b>The last job was not accepted</b><pre>${schedule.last_error}</pre></div>`}
    <div class="columns main-side">
      <div>
        <${Panel} title="Latest times" side=${times.data && html`<${Spark} runs=${times.data.past} />`}>
          ${times.data ? html`<${Past} runs=${times.data.past} />` : html`<${Nothing} ...${times} />`}</${Panel}>
      </div>
      <div>
        <${Panel} title="Times to come">
          ${times.data ? html`<${Coming} times=${times.data.next} />` : html`<${Nothing} ...${times} />`}</${Panel}>
        <${Panel} title="Facts"><${ScheduleFacts} schedule=${schedule} /></${Panel}>
        ${schedule.job
          ? html`<${JsonPanel} title="Data of each job" value=${schedule.job.data} />`
          : html`<${JsonPanel} title="Nodes of each run" value=${schedule.dag.nodes} />`}
      </div>
    </div>`;
}

function Past({ runs }) {
  if (!runs.length) return html`<p class="faint">None of its times has come yet.</p>`;
  return html`<table class="plain">
    <thead><tr><th scope="col">Time</th><th scope="col">Outcome</th><th scope="col">Made</th></tr></thead>
    <tbody>${runs.map((run) => html`
    <tr key=${run.fate + run.scheduled_for}><td><${Clock} time=${run.scheduled_for} />
      ${run.fate === "backfilled" && html`<span class="faint"> afterwards</span>`}</td>
      <td>${run.job || run.dag ? html`<${State} state=${(run.job ?? run.dag).state} />`
        : html`<span class="tone-${fateTone(run)}">${fateText(run)}</span>`}</td>
      <td>${run.job ? html`<${JobLink} id=${run.job.id}>${tail(run.job.id)}</${JobLink}>`
        : run.dag ? html`<a class="mono" href=${to(`/runs/${run.dag.id}`)}>${tail(run.dag.id)}</a>`
        : html`<span class="faint">–</span>`}</td></tr>`)}</tbody></table>`;
}

const made = (run) => run.job?.id ?? run.dag?.id;
const subject = (event) => event.job?.id ?? event.dag?.id;

const Coming = ({ times }) =>
  (times.length
    ? html`<ol class="coming">
      ${times.map((each) =>
        html`<li key=${each.utc}>
          <span class="num" title=${exact(each.utc)}>${each.local.slice(0, 19).replace("T", " ")}</span>
          <${Ago} time=${each.utc} /></li>`)}</ol>`
  : html`<p class="faint">None.</p>`);

const ScheduleFacts = ({ schedule }) => html`<${Facts} rows=${[
  [schedule.job ? "Job" : "DAG", schedule.job_type],
  ["Queue", schedule.job
    && html`<a href=${to(`/queues/${encodeURIComponent(schedule.job.queue)}`)}>${schedule.job.queue}</a>`],
  ["Its jobs", schedule.job
    && html`<a href=${to("/jobs", { tag: `schedule:${schedule.name}` })}>all that it made</a>`],
  ["Priority", schedule.priority],
  ["If missed", schedule.misfire.replaceAll("_", " ")],
  ["If it overlaps", schedule.overlap.replaceAll("_", " ")],
  ["Spread over", schedule.jitter_seconds ? duration(schedule.jitter_seconds) : null],
  ["Begins", schedule.starts_at && html`<${Clock} time=${schedule.starts_at} />`],
  ["Ends", schedule.ends_at && html`<${Clock} time=${schedule.ends_at} />`],
  ["Owner", schedule.owner],
  ["Made", html`<${Clock} time=${schedule.created_at} />`],
]} />`;

function Actions({ schedule, changed }) {
  if (!may("submit")) return null;
  const act = async (question, deed, success) => {
    const values = question ? await ask(question) : {};
    if (values && (await told(() => deed(values), success))) changed();
  };
  const path = (...rest) => at("schedules", schedule.name, ...rest);
  const name = (answer) => (answer.job_id ? `Job ${tail(answer.job_id)}` : `Run ${tail(answer.dag_id)}`);
  const trigger = () => act(null, () => post(path("trigger")), (answer) => `${name(answer)} made`);
  const pause = () =>
    act({ title: "Pause this schedule?", text: "It makes no more jobs until it is enabled again.", action: "Pause",
      fields: [{ name: "reason", label: "Why" }] },
    ({ reason }) => post(path("disable"), reason ? { reason } : {}), "Schedule paused");
  const enable = () => act(null, () => post(path("enable")), "Schedule enabled");
  const backfill = () =>
    act({ title: "Run past times", text: "Each time of its rule once; those whose job is still kept are passed over.",
      action: "Run them", fields: [
        { name: "from", label: "From", type: "datetime-local", required: true },
        { name: "until", label: "Until", type: "datetime-local", required: true },
        { name: "rate", label: "Jobs a minute", type: "number", value: "60", min: 1, max: 1000, required: true },
      ] },
    ({ from, until, rate }) =>
      post(path("backfill"),
        { from: new Date(from).toISOString(), until: new Date(until).toISOString(), per_minute: Number(rate) }),
      (answer) => answer.message);
  const erase = async () => {
    const sure = await ask({ title: "Delete this schedule?", text: "Its jobs stay.", action: "Delete", danger: true });
    if (sure && (await told(() => del(path()), "Schedule deleted"))) go(to("/schedules"));
  };
  return html`<button type="button" class="main" onClick=${trigger}>Run now</button>
    ${schedule.enabled ? html`<button type="button" onClick=${pause}>Pause</button>`
      : html`<button type="button" onClick=${enable}>Enable</button>`}
    <button type="button" onClick=${backfill}>Backfill</button>
      <button type="button" class="danger" onClick=${erase}>Delete</button>`;
}
