// Schedules by name: when each runs next, how the last times went.

import { at, get, post } from "../core/api.js";
import { plural } from "../core/format.js";
import { useData } from "../core/live.js";
import { go, route, setQuery, to } from "../core/router.js";
import { may } from "../core/session.js";
import { html, useEffect, useRef, useState } from "../core/ui.js";
import { Spark } from "../charts/spark.js";
import { ask } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";
import { Ago, Head, Nothing } from "../parts/small.js";
import { Table } from "../parts/table.js";
import { told } from "../parts/toast.js";

const LIMIT = 50;

export default function Schedules() {
  const cursor = route.use().query.get("cursor");
  const page = useData((signal) => get("/schedules", { cursor, limit: LIMIT }, signal), [cursor], { every: 10_000 });
  const found = page.data?.schedules ?? [], hold = page.data?.hold;
  const pause = async () => {
    const values = await ask({ title: "Pause all schedules?",
      text: "Times that come while they are paused are let go.", action: "Pause", danger: true,
      fields: [{ name: "reason", label: "Why" }] });
    if (values && (await told(() => post("/schedules/pause", values.reason ? { reason: values.reason } : {}),
      "All schedules paused"))) page.refresh();
  };
  const resume = async () => {
    if (await told(() => post("/schedules/resume"), "All schedules run again")) page.refresh(); };
  return html`
    <${Head} title="Schedules"
      note=${page.data && !cursor && !page.data.next_cursor ? plural(found.length, "schedule") : ""}>
      ${may("operate") && page.data
        && (hold ? html`<button type="button" class="main" onClick=${resume}>Resume all</button>`
          : found.length > 0
          && html`<button type="button" onClick=${pause}><${Icon} name="pause" />Pause all</button>`)}
    </${Head}>
    ${hold && html`<p class="problem">All schedules were paused by ${hold.by} <${Ago} time=${hold.at} />
      ${hold.reason ? `: ${hold.reason}` : "."}</p>`}
    ${found.length
      ? html`<${Table} label="Schedules" columns=${COLUMNS} rows=${found} keyOf=${(each) => each.id}
        busy=${page.loading}
      open=${(each) => go(to(`/schedules/${encodeURIComponent(each.name)}`))} />`
      : html`<${Nothing} ...${page}><p>There is no schedule. One is made by <code>tidegate schedule create</code>.</p>
        </${Nothing}>`}
    ${(cursor || page.data?.next_cursor) && html`<nav class="pager" aria-label="Pages">
      <button type="button" disabled=${!cursor} onClick=${() => history.back()}><${Icon} name="left" />Before</button>
      <button type="button" disabled=${!page.data?.next_cursor}
        onClick=${() => setQuery({ cursor: page.data.next_cursor }, { replace: false })}>More<${Icon} name="right" />
      </button></nav>`}`;
}

/** The latest times of a schedule; asked for only once its row is looked at. */
function History({ schedule }) {
  const box = useRef(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && setSeen(true));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  const { data
    } = useData((signal) =>
      (seen ? get(at("schedules", schedule.name, "history"), null, signal) : Promise.resolve(null)),
    [seen, schedule.fired], { every: 60_000 });
  return html`<span ref=${box}>
    ${data?.runs.length ? html`<${Spark} runs=${data.runs} />` : html`<span class="faint">–</span>`}</span>`;
}

const Next = ({ schedule }) =>
  (!schedule.enabled ? html`<span class="tone-retry" title=${schedule.paused_reason ?? ""}>paused</span>`
    : html`<${Ago} time=${schedule.next_run} none="over" />`);

const COLUMNS = [
  { key: "name", head: "Name", wide: true,
    cell: (each) => html`<div><a class="name" href=${to(`/schedules/${encodeURIComponent(each.name)}`)}>${each.name}</a>
    ${each.last_error && html`<span class="under tone-failed" title=${each.last_error}>${each.last_error}</span>`}
      </div>` },
  { key: "rule", head: "When",
    cell: (each) =>
      html`<span class="mono">${each.expression}</span>
      ${each.timezone !== "UTC" && html`<span class="faint zone">${each.timezone}</span>`}` },
  { key: "job", head: "Makes", phone: false, cell: (each) => each.job_type },
  { key: "next", head: "Next", told: true, cell: (each) => html`<${Next} schedule=${each} />` },
  { key: "last", head: "Last", told: true, phone: false,
    cell: (each) => html`<${Ago} time=${each.last_run} none="never" />` },
  { key: "history", head: "Latest times", cell: (each) => html`<${History} schedule=${each} />` },
];
