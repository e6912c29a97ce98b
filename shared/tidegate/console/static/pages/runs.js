// Runs of DAGs, newest first, with how far each is.

import { get } from "../core/api.js";
import { between, duration, plural, tail } from "../core/format.js";
import { useData, useNow } from "../core/live.js";
import { go, route, setQuery, to } from "../core/router.js";
import { RUN_STATES, label, tone } from "../core/states.js";
import { html, useEffect, useState } from "../core/ui.js";
import { Icon, Sign } from "../parts/icons.js";
import { Ago, Head, Nothing, Progress, State } from "../parts/small.js";
import { Table } from "../parts/table.js";

const LIMIT = 50;

export default function Runs() {
  const { query } = route.use();
  const state = query.get("state"), cursor = query.get("cursor");
  const [before, setBefore] = useState([]);
  useEffect(() => { if (!cursor) setBefore([]); }, [state, cursor]);
  const page = useData((signal) => get("/dags", { state, cursor, limit: LIMIT }, signal), [state, cursor],
    { every: 5_000, on: (event) => Boolean(event.job?.dag_id) && !cursor });
  const runs = page.data?.dags ?? [];
  const older = () => {
    setBefore([...before, cursor ?? ""]);
    setQuery({ cursor: page.data.next_cursor }, { replace: false });
  };
  const newer = () => {
    setQuery({ cursor: before.at(-1) || null }, { replace: false });
    setBefore(before.slice(0, -1));
  };
  const choose = (wanted) => setQuery({ state: wanted === state ? null : wanted, cursor: null });
  return html`
    <${Head} title="Runs" note="Jobs that hang on one another, submitted whole." />
    <div class="filters"><div class="states" role="group" aria-label="State">
      ${RUN_STATES.map((each) =>
        html`<button type="button" key=${each} aria-pressed=${each === state} class="tone-${tone(each)}"
          onClick=${() => choose(each)}>
        <${Sign} state=${each} />${label(each)}</button>`)}</div></div>
    ${runs.length
      ? html`<${Table} label="Runs" columns=${COLUMNS} rows=${runs} keyOf=${(run) => run.id} busy=${page.loading}
      open=${(run) => go(to(`/runs/${encodeURIComponent(run.id)}`))} />`
      : html`<${Nothing} ...${page}>
        <p>No run fits. One is made by <code>tidegate dag submit</code>, or from Python with <code>Dag</code>.</p>
      </${Nothing}>`}
    <nav class="pager" aria-label="Pages">
      <button type="button" disabled=${!cursor} onClick=${newer}><${Icon} name="left" />Newer</button>
      <button type="button" disabled=${!page.data?.next_cursor} onClick=${older}>Older<${Icon} name="right" /></button>
    </nav>`;
}

function Took({ run }) {
  const now = useNow(run.completed_at ? 3_600_000 : 1_000);
  return html`<span class="num">${duration(between(run.created_at, run.completed_at, now))}</span>`;
}

const COLUMNS = [
  { key: "state", head: "State", cell: (run) => html`<${State} state=${run.state} />` },
  { key: "name", head: "Name", wide: true,
    cell: (run) =>
      html`<div><span class="name">${run.name}</span>
      ${run.tags.map((tag) => html`<span key=${tag} class="tag">${tag}</span>`)}
    ${run.reason && html`<span class="under">${run.reason}</span>`}</div>` },
  { key: "id", head: "Id", phone: false,
    cell: (run) =>
      html`<a class="mono" href=${to(`/runs/${encodeURIComponent(run.id)}`)} title=${run.id}>${tail(run.id)}</a>` },
  { key: "progress", head: "Progress",
    cell: (run) =>
      html`<${Progress} fraction=${run.progress.progress_pct / 100} message="Jobs ended" tone=${tone(run.state)} />` },
  { key: "jobs", head: "Jobs", align: "end",
    cell: (run) =>
      html`<span class="num">${plural(run.progress.total_jobs, "job")}</span>
      ${run.progress.failed > 0 && html`${" "}<span class="num tone-failed">${run.progress.failed} failed</span>`}` },
  { key: "took", head: "Took", align: "end", cell: (run) => html`<${Took} run=${run} />` },
  { key: "created", head: "Created", align: "end", cell: (run) => html`<${Ago} time=${run.created_at} />` },
];
