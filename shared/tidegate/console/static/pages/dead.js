// Messages that were no tickets, and why: sent on their way again, or dropped.

import { get, post } from "../core/api.js";
import { count, plural } from "../core/format.js";
import { useData } from "../core/live.js";
import { route, setQuery } from "../core/router.js";
import { may } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { ask } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";
import { Ago, Head, Nothing } from "../parts/small.js";
import { Table } from "../parts/table.js";
import { told } from "../parts/toast.js";

const LIMIT = 100;
const FATES = { renewed: "sent again", spent: "spent: its job has ended", unreadable: "still no ticket",
  dropped: "dropped" };

export default function DeadLetters() {
  const after = route.use().query.get("after");
  const [chosen, setChosen] = useState(new Set());
  const page = useData((signal) => get("/maintenance/dead-letters", { after, limit: LIMIT }, signal), [after],
    { every: 15_000, idle: !may("operate") });
  const letters = page.data?.dead_letters ?? [];
  const deal = async (drop) => {
    const ids = [...chosen];
    const sure = await ask({
      title: `${drop ? "Drop" : "Send"} ${plural(ids.length, "letter")}${drop ? "?" : " again?"}`, danger: drop,
      action: drop ? "Drop" : "Send again",
      text: drop ? "They are deleted. No job is lost: the table holds it."
        : "Those that are tickets by now go on their way; others stay." });
    if (!sure) return;
    if (await told(() => post("/maintenance/redrive", { ids, drop, confirm: true }),
      (answer) => summary(answer.results))) {
      setChosen(new Set());
      page.refresh();
    }
  };
  return html`
    <${Head} title="Dead letters"
      note=${page.data ? `${plural(letters.length, "letter")}${letters.length === LIMIT ? " and perhaps more" : ""}`
      : ""}>
      ${letters.length > 0 && html`
        <button type="button" class="main" disabled=${!chosen.size} onClick=${() => deal(false)}>
          ${chosen.size ? `Send ${count(chosen.size)} again` : "Send again"}</button>
        <button type="button" class="danger" disabled=${!chosen.size} onClick=${() => deal(true)}>Drop</button>`}
    </${Head}>
    ${letters.length
      ? html`<${Table} label="Dead letters" columns=${COLUMNS} rows=${letters} keyOf=${(each) => each.id}
        nameOf=${(each) => each.reason}
        chosen=${chosen} choose=${setChosen} busy=${page.loading} />`
      : html`<${Nothing} ...${page}>
        <p>There is none. Tickets that nobody could handle would be here, each with its reason.</p></${Nothing}>`}
    ${(after || letters.length === LIMIT) && html`<nav class="pager" aria-label="Pages">
      <button type="button" disabled=${!after} onClick=${() => setQuery({ after: null })}>
        <${Icon} name="left" />First</button>
      <button type="button" disabled=${letters.length < LIMIT}
        onClick=${() => setQuery({ after: letters.at(-1).id }, { replace: false })}>More<${Icon} name="right" />
      </button></nav>`}`;
}

function summary(results) {
  const counts = {};
  for (const { result } of results) counts[result] = (counts[result] ?? 0) + 1;
  return Object.entries(counts).map(([fate, n]) => `${count(n)} ${FATES[fate] ?? fate}`).join(", ")
    || "There was nothing to do.";
}

const COLUMNS = [
  { key: "reason", head: "Why", wide: true,
    cell: (each) =>
      html`<div class="letter"><span class="name">${each.reason}</span><span class="under mono">${each.body}</span>
        </div>` },
  { key: "source", head: "From", cell: (each) => html`<span class="mono">${each.source}</span>` },
  { key: "at", head: "When", align: "end", cell: (each) => html`<${Ago} time=${each.at} />` },
];
