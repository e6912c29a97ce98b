// Who did what, newest first: acts of people, as the tenant's hash-chained log tells them.

import { get } from "../core/api.js";
import { count } from "../core/format.js";
import { useData } from "../core/live.js";
import { route, setQuery, to } from "../core/router.js";
import { may } from "../core/session.js";
import { html } from "../core/ui.js";
import { Icon } from "../parts/icons.js";
import { Clock, Head, Nothing } from "../parts/small.js";
import { Table } from "../parts/table.js";

const LIMIT = 50;

export default function Audit() {
  const before = route.use().query.get("before");
  const page = useData((signal) => get("/audit", { before, limit: LIMIT }, signal), [before],
    { every: 15_000, idle: !may("operate") });
  const entries = page.data?.entries ?? [], head = page.data?.head.number ?? 0;
  const oldest = entries.at(-1)?.number ?? 1;
  return html`
    <${Head} title="Audit log"
      note=${head ? `${count(entries[0]?.number ?? 0)}–${count(oldest)} of ${count(head)} acts` : ""} />
    ${entries.length
      ? html`<${Table} label="Audit log" columns=${COLUMNS} rows=${entries} keyOf=${(entry) => entry.number}
        busy=${page.loading} />
        <p class="faint foot">Each entry is bound to the one before it by its hash:
          ${" "}<code>tidegate audit verify</code> checks that none was changed or taken away.</p>`
      : html`<${Nothing} ...${page}>
        <p>Nobody has done anything yet. Cancelling, retrying, pausing, limits and tokens are written down here.</p>
        </${Nothing}>`}
    ${(before || oldest > 1) && html`<nav class="pager" aria-label="Pages">
      <button type="button" disabled=${!before} onClick=${() => setQuery({ before: null })}>
        <${Icon} name="left" />Newest</button>
      <button type="button" disabled=${oldest <= 1}
        onClick=${() => setQuery({ before: oldest }, { replace: false })}>Older<${Icon} name="right" /></button>
      </nav>`}`;
}

const PAGES = { job: "jobs", run: "runs", dag: "runs", queue: "queues", schedule: "schedules" };

/** The thing that was acted upon, leading to its page where it has one. */
function Target({ entry }) {
  const page = PAGES[entry.action.split(".")[0]];
  if (!entry.target) return html`<span class="faint">several</span>`;
  if (!page) return html`<span class="mono">${entry.target}</span>`;
  return html`<a class="mono" href=${to(`/${page}/${encodeURIComponent(entry.target)}`)}>${entry.target}</a>`;
}

/** Names and values, those of a thing within at its own level; lists as they are written. */
function detailsText(details) {
  return Object.entries(details).flatMap(([name, value]) => {
    if (value === null) return [];
    if (typeof value === "object" && !Array.isArray(value)) return detailsText(value) || [];
    return `${name.replaceAll("_", " ")}: ${Array.isArray(value) ? value.join(" ") : value}`;
  }).join(", ");
}

const COLUMNS = [
  { key: "act", head: "Act", wide: true,
    cell: (entry) => html`<div><span class="name">${entry.action.replace(".", ": ").replaceAll("_", " ")}</span>
      <span class="under" title=${detailsText(entry.details)}>${detailsText(entry.details)}</span></div>` },
  { key: "target", head: "On", cell: (entry) => html`<${Target} entry=${entry} />` },
  { key: "user", head: "By", cell: (entry) => html`<b>${entry.user}</b>` },
  { key: "via", head: "Proved by", phone: false, cell: (entry) => html`<span class="mono faint">${entry.via}</span>` },
  { key: "time", head: "When", align: "end", cell: (entry) => html`<${Clock} time=${entry.time} />` },
  { key: "number", head: "No.", align: "end", phone: false,
    cell: (entry) => html`<span class="num faint" title=${entry.hash}>${count(entry.number)}</span>` },
];
