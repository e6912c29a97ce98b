// Queues: how deep each is, and what holds it.

import { get } from "../core/api.js";
import { count, plural } from "../core/format.js";
import { useData } from "../core/live.js";
import { go, to } from "../core/router.js";
import { html } from "../core/ui.js";
import { Head, Nothing } from "../parts/small.js";
import { isFull } from "../parts/held.js";
import { limitsText, policyText } from "../parts/queue_settings.js";
import { Table } from "../parts/table.js";

const ANY = () => true;
const NONE = { depth: 0, running: 0, ended: 0, states: {} };

export default function Queues() {
  const page = useData(async (signal) => {
    const [policies, figures] = await Promise.all([get("/queues", null, signal), get("/stats/queues", null, signal)]);
    const known = Object.fromEntries(figures.queues.map((each) => [each.queue, each]));
    return policies.queues.map((queue) => ({ ...queue, figures: known[queue.name] ?? NONE }));
  }, [], { every: 5_000, on: ANY });
  return html`
    <${Head} title="Queues" note=${page.data ? plural(page.data.length, "queue") : ""} />
    ${page.data
      ? html`<${Table} label="Queues" columns=${COLUMNS} rows=${page.data} keyOf=${(queue) => queue.name}
        open=${(queue) => go(to(`/queues/${encodeURIComponent(queue.name)}`))} />`
      : html`<${Nothing} ...${page} />`}`;
}

const COLUMNS = [
  { key: "name", head: "Queue", wide: true,
    cell: (queue) => html`<div><a class="name" href=${to(`/queues/${encodeURIComponent(queue.name)}`)}>${queue.name}</a>
    ${queue.paused
      && html`<span class="tag tone-retry">paused</span>
        <span class="under">${[queue.paused_by, queue.paused_reason].filter(Boolean).join(": ")}</span>`}</div>` },
  { key: "depth", head: "Waiting", align: "end", told: true,
    cell: ({ figures }) => html`<b class="num">${count(figures.depth)}</b>` },
  { key: "running", head: "Running", align: "end", told: true,
    cell: (queue) =>
      html`<span class="num ${isFull({ ...queue, ...queue.figures }) ? "tone-retry" : ""}">
        ${count(queue.figures.running)}
          ${queue.slots ? html`<span class="faint"> of ${count(queue.slots)}</span>` : ""}</span>` },
  { key: "failed", head: "Failed", align: "end", told: true,
    cell: ({ figures }) =>
      html`<span class="num ${figures.states.FAILED ? "tone-failed" : "faint"}">${count(figures.states.FAILED ?? 0)}
      </span>` },
  { key: "completed", head: "Completed", align: "end", phone: false,
    cell: ({ figures }) => html`<span class="num">${count(figures.states.COMPLETED ?? 0)}</span>` },
  { key: "limits", head: "Limits", phone: false,
    cell: (queue) => limitsText(queue) || html`<span class="faint">none</span>` },
  { key: "policy", head: "Policy", phone: false,
    cell: (queue) => html`<span class="faint">${policyText(queue)}</span>` },
];
