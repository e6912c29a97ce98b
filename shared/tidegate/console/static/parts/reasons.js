// Why jobs wait, in a few lines: what holds whole queues, and what holds jobs that nothing of that explains.

import { at, get } from "../core/api.js";
import { count, duration } from "../core/format.js";
import { useData } from "../core/live.js";
import { to } from "../core/router.js";
import { html } from "../core/ui.js";
import { isFull } from "./held.js";
import { Icon } from "./icons.js";
import { JobLink } from "./small.js";

const MOST_QUEUES = 3, MOST_JOBS = 20; // that are looked into
const SETTLED_MS = 2_000; // a job that came just now is about to start

const waiting = (jobs) => (jobs === 1 ? "1 waits" : `${count(jobs)} wait`);
const free = (status) => !status.max_concurrent_jobs || status.active_jobs < status.max_concurrent_jobs;

/** Why jobs wait: the gravest first. */
export function Reasons({ data: { depth, stats, status }, queues }) {
  const { CREATED: created = 0, RETRY: retrying = 0 } = stats.states;
  const blocked = created + retrying - depth.total - status.scheduled_jobs;
  const oldest = depth.oldest_job;
  return html`
    ${!status.worker_count && depth.total > 0
      && html`<${Reason} icon="workers" tone="failed"><b>No worker</b> was seen in the last minute.</${Reason}>`}
    ${queues.filter((queue) => queue.paused).map((queue) => html`<${Reason} key=${queue.name} icon="pause" tone="retry">
      <${QueueLink} name=${queue.name} /> is paused${queue.paused_by ? ` by ${queue.paused_by}` : ""}
      ${queue.paused_reason ? `: ${queue.paused_reason}` : ""}. ${waiting(queue.depth)}.</${Reason}>`)}
    ${queues.filter((queue) => !queue.paused && queue.depth && isFull(queue)).map((queue) =>
      html`<${Reason} key=${queue.name} icon="queues" tone="retry"><${QueueLink} name=${queue.name} /> is full:
        ${" "}${count(queue.running)} of ${count(queue.slots)} run, ${waiting(queue.depth)}.</${Reason}>`)}
    ${status.worker_count > 0 && free(status) && html`<${Stalled} queues=${queues} />`}
    ${oldest && html`<${Reason} icon="help"><${JobLink} id=${oldest.id}>${oldest.name}</${JobLink}> in ${oldest.queue}
      ${" "}has waited longest: ${duration(depth.oldest_seconds)}.</${Reason}>`}
    ${status.scheduled_jobs > 0 && html`<${Reason} icon="schedules">
      ${count(status.scheduled_jobs)} more ${status.scheduled_jobs === 1 ? "waits for its" : "wait for their"} time.
      </${Reason}>`}
    ${blocked > 0 && html`<${Reason} icon="runs">
      ${count(blocked)} more ${blocked === 1 ? "waits" : "wait"} for other jobs of the same run.</${Reason}>`}`;
}

const Reason = ({ icon, tone, children }) => html`
  <p class="remark ${tone ? `tone-${tone}` : ""}"><${Icon} name=${icon} /><span>${children}</span></p>`;

const QueueLink = ({ name }) => html`<a href=${to(`/queues/${encodeURIComponent(name)}`)}><b>${name}</b></a>`;

/** Jobs that wait although their queues are open and slots are free: what the server says of one of each queue. */
function Stalled({ queues }) {
  const names = queues.filter((queue) => !queue.paused && !isFull(queue) && queue.depth).slice(0, MOST_QUEUES)
    .map((queue) => queue.name);
  const { data } = useData(async (signal) => (await Promise.all(names.map((name) => stalled(name, signal))))
    .filter(Boolean), [names.join()], { every: 5_000, idle: !names.length });
  return (data ?? []).filter(({ job }) => names.includes(job.queue)).map(({ job, verdict }) =>
    html`<${Reason} key=${job.queue} icon="alert" tone="retry"><${JobLink} id=${job.id}>${job.name}</${JobLink}> in
      ${" "}<${QueueLink} name=${job.queue} />. ${verdict}</${Reason}>`);
}

async function stalled(queue, signal) {
  const asked = { state: "CREATED,RETRY", queue, limit: MOST_JOBS, brief: true, count: false };
  const { jobs } = await get("/jobs", asked, signal);
  const now = Date.now();
  const job = jobs.find((each) => !each.blocked && !(each.wake_at && Date.parse(each.wake_at) > now)
    && now - Date.parse(each.updated_at) > SETTLED_MS);
  const why = job && (await get(at("jobs", job.id, "why"), null, signal)).why;
  return why?.gates.some((gate) => gate.holds) ? { job, verdict: why.verdict } : null;
}
