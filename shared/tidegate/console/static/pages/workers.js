// Who works, and at what: workers that were seen in the last minute.

import { get } from "../core/api.js";
import { between, count, duration, plural } from "../core/format.js";
import { useData, useNow } from "../core/live.js";
import { html } from "../core/ui.js";
import { Ago, Head, JobLink, Nothing, Progress } from "../parts/small.js";

const KINDS = { embedded: "of this server", lambda: "Lambda", pull: "pulls, with access to the tables",
  http: "pulls over HTTP" };

export default function Workers() {
  const page = useData((signal) => get("/workers", null, signal), [],
    { every: 4_000, on: (event) => event.type !== "job.created" });
  const workers = [...(page.data?.workers ?? [])].sort((a, b) => b.busy - a.busy || a.id.localeCompare(b.id));
  const busy = workers.reduce((sum, worker) => sum + worker.busy, 0),
    slots = workers.reduce((sum, worker) => sum + worker.concurrency, 0);
  return html`
    <${Head} title="Workers"
      note=${workers.length ? `${plural(workers.length, "worker")}, ${count(busy)} of ${plural(slots, "slot")} taken`
      : ""} />
    ${workers.length
      ? html`<ul class="workers">${workers.map((worker) => html`<${Worker} key=${worker.id} worker=${worker} />`)}</ul>`
      : html`<${Nothing} ...${page}>
        <p>No worker was seen in the last minute. One is started by <code>tidegate worker</code>.</p></${Nothing}>`}`;
}

function Worker({ worker }) {
  const now = useNow(1_000);
  const free = Math.max(0, worker.concurrency - worker.busy);
  return html`<li class=${worker.busy ? "" : "idle"}>
    <header><b class="mono">${worker.id}</b><span class="faint">${KINDS[worker.kind] ?? worker.kind}</span></header>
    <p class="slots" role="img" aria-label=${`${worker.busy} of ${worker.concurrency} slots taken`}>
      ${Array.from({ length: Math.min(worker.concurrency, 64) },
        (_, index) => html`<i key=${index} class=${index < worker.busy ? "taken" : ""}></i>`)}
      <span class="num">${free ? `${count(free)} free` : "all taken"}</span></p>
    ${worker.running.map((job) =>
      html`<div key=${job.job_id} class="line"><${JobLink} id=${job.job_id}>${job.name}</${JobLink}>
      ${job.progress ? html`<${Progress} fraction=${job.progress.fraction} message=${job.progress.message} />`
        : html`<span></span>`}<span class="num push">${duration(between(job.started_at, null, now))}</span></div>`)}
    <footer class="faint"><span>${worker.host}</span>
      <span>pool ${worker.pool}${worker.queues.length ? `: ${worker.queues.join(", ")}` : ""}</span>
      <span>up <${Ago} time=${worker.started_at} /></span><span>seen <${Ago} time=${worker.seen_at} /></span>
      <span>${worker.version}</span></footer>
  </li>`;
}
