// All jobs, newest first: filters in the URL, a page at a time, many acted on at once.

import { get } from "../core/api.js";
import { between, count, duration, tail } from "../core/format.js";
import { useData, useNow } from "../core/live.js";
import { go, route, setQuery, to } from "../core/router.js";
import { may } from "../core/session.js";
import { WAITING, band } from "../core/states.js";
import { html, useEffect, useState } from "../core/ui.js";
import { Filters, askedFor } from "../parts/filters.js";
import { heldBy, useQueues } from "../parts/held.js";
import { Icon } from "../parts/icons.js";
import { BulkBar } from "../parts/bulk.js";
import { submitJob } from "../parts/new_job.js";
import { Ago, Head, JobLink, Nothing, Progress, State } from "../parts/small.js";
import { Table } from "../parts/table.js";

const LIMIT = 50;

export default function Jobs() {
  const { query } = route.use();
  const asked = askedFor(query);
  const key = JSON.stringify([asked, query.get("since")]), cursor = query.get("cursor");
  const [chosen, setChosen] = useState(new Set());
  const [before, setBefore] = useState([]); // cursors of the pages before this one
  useEffect(() => { setChosen(new Set()); if (!cursor) setBefore([]); }, [key, cursor]);
  const page = useData((signal) =>
    get("/jobs", { ...asked, ...since(query), cursor, limit: LIMIT, brief: true, count: false }, signal), [key, cursor],
    { every: 6_000, on: (event) => !cursor && concerns(event, query) });
  const total = useData(async (signal) =>
    (await get("/jobs", { ...asked, ...since(query), limit: 1, brief: true }, signal)).total_count, [key],
    { every: 30_000 });
  const stats = useData((signal) => get("/stats", null, signal), [], { every: 10_000, on: () => true });
  const queues = useQueues();
  const jobs = page.data?.jobs ?? [];
  const older = () => {
    setBefore([...before, cursor ?? ""]);
    setQuery({ cursor: page.data.next_cursor }, { replace: false });
    scrollTo(0, 0);
  };
  const newer = () => {
    setQuery({ cursor: before.at(-1) || null }, { replace: false });
    setBefore(before.slice(0, -1));
  };
  return html`
    <${Head} title="Jobs" note=${note(jobs.length, total.data, before.length, cursor)}>
      ${may("submit") && html`<button type="button" class="main" onClick=${() => submitJob()}>New job</button>`}
    </${Head}>
    <${Filters} query=${query} states=${stats.data?.stats.states ?? {}} queues=${[...queues.keys()]} />
    ${may("submit") && chosen.size > 0
      && html`<${BulkBar} chosen=${[...chosen]} total=${total.data} asked=${{ ...asked, ...since(query) }}
      done=${() => { setChosen(new Set()); page.refresh(); }} />`}
    ${jobs.length
      ? html`<${Table} label="Jobs" columns=${columnsWith(queues)} rows=${jobs} keyOf=${(job) => job.id}
        nameOf=${(job) => `${job.name} ${tail(job.id)}`}
        busy=${page.loading}
      chosen=${may("submit") ? chosen : undefined} choose=${may("submit") ? setChosen : undefined}
        open=${(job) => go(to(`/jobs/${encodeURIComponent(job.id)}`))} />`
      : html`<${Nothing} ...${page}><p>No job fits.</p></${Nothing}>`}
    ${page.error && jobs.length > 0 && html`<p class="problem" role="alert">${page.error.message}</p>`}
    <nav class="pager" aria-label="Pages">
      <button type="button" disabled=${!cursor} onClick=${newer}><${Icon} name="left" />Newer</button>
      <button type="button" disabled=${!page.data?.next_cursor} onClick=${older}>Older<${Icon} name="right" /></button>
    </nav>`;
}

/** Which of how many are shown; where a page was come to by its address alone, nobody knows how many are before it. */
function note(shown, total, pages, cursor) {
  if (!shown) return "";
  const first = pages * LIMIT + 1;
  const range = cursor && !pages ? count(shown) : `${count(first)}–${count(first + shown - 1)}`;
  return total === null ? range : `${range} of ${count(total)}`;
}

const HOUR = 3_600_000;
const SINCE = { "1h": HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR };

/** The window of time, from now back or as it was written; to the minute, so that a page asks for the same again. */
function since(query) {
  const back = SINCE[query.get("since")];
  return back ? { created_from: new Date(Math.floor((Date.now() - back) / 60_000) * 60_000).toISOString() } : {};
}

/** Whether an event might change what is listed: filters that it does not tell of are taken as fitting. */
function concerns({ job }, query) {
  const states = query.get("state")?.split(",") ?? [];
  const fits = (name) => !query.get(name) || query.get(name) === job?.[name];
  return fits("queue") && fits("name")
    && (!states.length || states.includes(job?.state) || states.includes(job?.old_state));
}

/** How long it has waited, ran, or runs. */
function Took({ job }) {
  const now = useNow(job.state === "ACTIVE" ? 1_000 : 3_600_000);
  if (job.state === "ACTIVE" && job.progress) {
    return html`<${Progress} fraction=${job.progress.fraction} message=${job.progress.message} />`;
  }
  if (!job.started_at) return html`<span class="faint">–</span>`;
  const end = WAITING.includes(job.state) ? job.updated_at : job.completed_at;
  return html`<span class="num">${duration(between(job.started_at, end, now))}</span>`;
}

const FAULTY = new Set(["FAILED", "RETRY"]); // a job keeps the error of an attempt before

/** Its name, and that of its node where it says more. */
const titleOf = ({ name, node }) =>
  (!node || node === name ? name : node.startsWith(`${name}[`) ? node : `${name} · ${node}`);

/** What went wrong with a job, or what holds it. */
function Remark({ job, queues }) {
  const now = useNow(1_000);
  if (FAULTY.has(job.state) && job.error_message) {
    return html`<span class="under" title=${job.error_message}>${job.error_message}</span>`;
  }
  return html`<span class="under">${heldBy(job, queues, now) ?? job.reason}</span>`;
}

const columnsWith = (queues) => [
  { key: "state", head: "State", cell: (job) => html`<${State} state=${job.state} />` },
  { key: "name", head: "Name", wide: true,
    cell: (job) =>
      html`<div><span class="name">${titleOf(job)}</span>
        ${job.tags.map((tag) => html`<span key=${tag} class="tag">${tag}</span>`)}
        <${Remark} job=${job} queues=${queues} /></div>` },
  { key: "id", head: "Id", phone: false, cell: (job) => html`<${JobLink} id=${job.id}>${tail(job.id)}</${JobLink}>` },
  { key: "queue", head: "Queue", cell: (job) => job.queue },
  { key: "priority", head: "Priority", phone: false,
    cell: (job) =>
      html`<span class="band band-${band(job.priority)}" title=${band(job.priority)}>${job.priority}</span>`,
    align: "end" },
  { key: "attempt", head: "Attempts", align: "end", phone: false,
    cell: (job) => html`<span class="num ${job.attempt > 1 ? "tone-retry" : "faint"}">${job.attempt}</span>` },
  { key: "took", head: "Run time", align: "end", cell: (job) => html`<${Took} job=${job} />` },
  { key: "created", head: "Created", align: "end", cell: (job) => html`<${Ago} time=${job.created_at} />` },
];
