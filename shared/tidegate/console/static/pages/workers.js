// Who works, and at what: workers that were seen in the last minute.

import { get } from "../core/api.js";
import { between, count, duration, plural } from "../core/format.js";
import { useData, useNow } from "../core/live.js";
import { may } from "../core/session.js";
import { html } from "../core/ui.js";
import { Ago, Head, JobLink, Nothing, Progress } from "../parts/small.js";

const KINDS = {
  embedded: "of this server", lambda: "Lambda", pull: "pulls, with access to the tables", http: "pulls over HTTP",
};
const MOST = 100; // running jobs that are looked up
const SLOTS_DRAWN = 64;

export default function Workers() {
  const page = useData(async (signal) => {
    const [{ workers }, { jobs }] = await Promise.all([
      get("/workers", null, signal), get("/jobs", { state: "ACTIVE", limit: MOST, brief: true, count: false }, signal),
    ]);
    return workers.map((worker) => withJobs(worker, jobs));
  }, [], { every: 4_000, on: (event) => event.type !== "job.created" });
  const workers = [...(page.data ?? [])].sort((a, b) => b.busy - a.busy || a.id.localeCompare(b.id));
  const sum = (name) => workers.reduce((total, worker) => total + worker[name], 0);
  const note = `${plural(workers.length, "worker")}, ${count(sum("busy"))} of ${plural(sum("concurrency"),
    "slot")} taken`;
  return html`
    <${Head} title="Workers" note=${workers.length ? note : ""} />
    ${workers.length
      ? html`<ul class="workers">${workers.map((worker) => html`<${Worker} key=${worker.id} worker=${worker} />`)}</ul>`
      : html`<${Nothing} ...${page}>
        <p>No worker was seen in the last minute. One is started by <code>tidegate worker</code>.</p></${Nothing}>`}`;
}

/**
 * A worker with the jobs that it runs at the moment: it tells of them every 20 seconds only. Who may not see all jobs,
 * or where there are more than are looked up, is shown what it told.
 */
function withJobs(worker, jobs) {
  const now = jobs.filter((job) => job.worker_id === worker.id);
  const told = worker.running.filter(({ job_id: id }) => !now.some((job) => job.id === id));
  const all = may("operate") && jobs.length < MOST;
  return { ...worker, running: all ? now : [...now, ...told],
    busy: all ? now.length : Math.max(worker.busy, now.length) };
}

function Worker({ worker }) {
  const free = Math.max(0, worker.concurrency - worker.busy);
  return html`<li class=${worker.busy ? "" : "idle"}>
    <header><b class="mono">${worker.id}</b><span class="faint">${KINDS[worker.kind] ?? worker.kind}</span></header>
    <p class="slots" role="img" aria-label=${`${worker.busy} of ${worker.concurrency} slots taken`}>
      ${Array.from({ length: Math.min(worker.concurrency, SLOTS_DRAWN) }, (_, index) =>
        html`<i key=${index} class=${index < worker.busy ? "taken" : ""}></i>`)}
      <span class="num">${free ? `${count(free)} free` : "all taken"}</span></p>
    ${worker.running.map((job) => html`<${Running} key=${job.id ?? job.job_id} job=${job} />`)}
    <footer class="faint"><span>${worker.host}</span>
      <span>pool ${worker.pool}${worker.queues.length ? `: ${worker.queues.join(", ")}` : ""}</span>
      <span>since <${Ago} time=${worker.started_at} /></span><span>seen <${Ago} time=${worker.seen_at} /></span>
      <span>Tidegate ${worker.version}</span></footer>
  </li>`;
}

function Running({ job }) {
  const now = useNow(1_000);
  const { fraction, message } = job.progress ?? {};
  return html`<div class="line"><${JobLink} id=${job.id ?? job.job_id}>${job.name}</${JobLink}>
    ${job.progress ? html`<${Progress} fraction=${fraction} message=${message} />` : html`<span></span>`}
    <span class="num push">${duration(between(job.started_at, null, now))}</span></div>`;
}
