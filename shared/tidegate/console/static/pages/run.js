// One run: its graph in the colours of its jobs, the path that decides, what took how long.

import { at, get, post } from "../core/api.js";
import { between, count, duration } from "../core/format.js";
import { useData, useNow } from "../core/live.js";
import { to } from "../core/router.js";
import { may } from "../core/session.js";
import { STATES, isOpen, label, tone } from "../core/states.js";
import { html, useMemo } from "../core/ui.js";
import { Gantt } from "../charts/gantt.js";
import { Graph } from "../charts/graph.js";
import { planOf } from "../charts/plan.js";
import { ask } from "../parts/dialog.js";
import { Ago, Clock, Copy, Facts, Head, Nothing, Panel, Parts, State } from "../parts/small.js";
import { told } from "../parts/toast.js";

const LARGE = 300; // nodes from which on the graph is asked for less often

export default function RunPage({ id }) {
  const mine = (event) => event.job?.dag_id === id;
  const found = useData((signal) => get(at("dags", id), { brief: true }, signal), [id], { every: 4_000, on: mine });
  const run = found.data?.dag;
  const open = run ? isOpen(run.state) : true;
  const graph = useData((signal) => get(at("dags", id, "graph"), null, signal), [id, open],
    { every: (data) => (!open ? 60_000 : data?.graph.nodes.length > LARGE ? 10_000 : 3_000), on: mine,
      gap: (data) => (data?.graph.nodes.length > LARGE ? 5_000 : 800) });
  const plan = useMemo(() => graph.data && planOf(graph.data.graph), [graph.data]);
  const path = graph.data?.graph.critical_path ?? [];
  if (!run) return html`<${Nothing} ...${found} />`;
  const refresh = () => { found.refresh(); graph.refresh(); };
  return html`
    <${Head} title=${run.name} crumbs=${html`<a href=${to("/runs")}>Runs</a>`}
      note=${html`<span class="mono id">${run.id}</span><${Copy} text=${run.id} what="the id" />`}>
      <${RunActions} run=${run} changed=${refresh} />
    </${Head}>
    <div class="lead"><${State} state=${run.state} /><${Moment} run=${run} />
      ${run.reason && html`<span>${run.reason}</span>`}</div>
    ${plan ? html`<${Body} run=${run} plan=${plan} nodes=${graph.data.graph.nodes} path=${path} />`
      : html`<${Nothing} ...${graph} />`}`;
}

function Body({ run, plan, nodes, path }) {
  const counts = {};
  for (const node of nodes) counts[node.state] = (counts[node.state] ?? 0) + 1;
  return html`
    <div class="runbar"><${Parts} counts=${counts} total=${nodes.length} />
      <p>${Object.keys(STATES).filter((state) => counts[state])
        .map((state) => html`<a key=${state} class="tone-${tone(state)}" href=${to("/jobs", { dag_id: run.id, state })}>
        <b class="num">${count(counts[state])}</b> ${label(state).toLowerCase()}</a>`)}</p></div>
    <${Panel} title="Graph" side=${html`<span class="legend"><i></i>critical path</span>`}>
      <${Graph} plan=${plan} path=${path} /></${Panel}>
    <div class="columns main-side">
      <${Panel} title="In time"><${Gantt} plan=${plan} path=${path} open=${isOpen(run.state)} /></${Panel}>
      <div>
        <${Panel} title="Critical path"><${Path} plan=${plan} path=${path} /></${Panel}>
        <${Panel} title="Facts"><${RunFacts} run=${run} /></${Panel}>
      </div>
    </div>`;
}

function Moment({ run }) {
  const now = useNow(1_000);
  if (run.completed_at) return html`<span>
    <${Ago} time=${run.completed_at} />, took <b class="num">${duration(between(run.created_at, run.completed_at))}
    </b></span>`;
  return html`<span>for <b class="num">${duration(between(run.created_at, null, now))}</b></span>`;
}

function Path({ plan, path }) {
  const now = useNow(5_000);
  if (!path.length) return html`<p class="faint">None yet.</p>`;
  return html`<table class="plain"><tbody>${path.map((id) => {
    const node = plan.get(id), ready = Math.max(...node.parents.map((parent) => plan.get(parent).end ?? 0), 0);
    const waited = ready && node.start > ready ? (node.start - ready) / 1_000 : null;
    return html`<tr key=${id}>
      <td><a href=${to(`/jobs/${encodeURIComponent(node.job_id)}`)}>${id}</a>
        ${waited > 0.05 && html`<span class="under">waited ${duration(waited)}</span>`}</td>
      <td class="end num">${duration(((node.end ?? now) - node.start) / 1_000)}</td></tr>`;
  })}</tbody></table>`;
}

const RunFacts = ({ run }) => html`<${Facts} rows=${[
  ["Jobs", html`<a href=${to("/jobs", { dag_id: run.id })}>${count(run.progress.total_jobs)}</a>`],
  ["On failure", run.failure_policy === "fail_fast" ? "the run stops" : "the rest goes on"],
  ["Tags", run.tags.length ? run.tags.map((tag) => html`<span key=${tag} class="tag">${tag}</span>`) : null],
  ["Metadata",
    Object.keys(run.metadata).length
    ? Object.entries(run.metadata).map(([key, value]) => html`<span key=${key} class="tag">${key}=${value}</span>`)
    : null],
  ["Created", html`<${Clock} time=${run.created_at} />`],
  ["Ended", run.completed_at && html`<${Clock} time=${run.completed_at} />`],
  ["Soft deadline", run.soft_sla && html`<${Ago} time=${run.soft_sla} />`],
  ["Hard deadline", run.hard_sla && html`<${Ago} time=${run.hard_sla} />`],
  ["Kept until", run.keep_until && html`<${Ago} time=${run.keep_until} />`],
]} />`;

function RunActions({ run, changed }) {
  if (!may("submit")) return null;
  const cancel = async () => {
    const values = await ask({ title: "Cancel this run?",
      text: "Waiting jobs stop at once, running ones are asked to; then its clean-up nodes run.", action: "Cancel",
      danger: true, fields: [{ name: "reason", label: "Why" }] });
    if (values && (await told(() =>
      post(at("dags", run.id, "cancel"), values.reason ? { reason: values.reason } : {}),
      "Run asked to stop"))) changed();
  };
  const resume = async () => {
    const sure = await ask({ title: "Resume this run?",
      text: "What failed, expired or was cancelled, and what hung on it, runs again; nothing else.", action: "Resume"
      });
    if (sure && (await told(() => post(at("dags", run.id, "resume")), "Run goes on"))) changed();
  };
  return html`${["FAILED", "CANCELLED", "EXPIRED"].includes(run.state)
    && html`<button type="button" class="main" onClick=${resume}>Resume</button>`}
    ${isOpen(run.state) && html`<button type="button" class="danger" onClick=${cancel}>Cancel</button>`}`;
}
