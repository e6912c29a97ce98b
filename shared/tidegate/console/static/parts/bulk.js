// One deed for many jobs: those that were chosen, or all that the filters find, part by part, with a way to stop.

import { get, post } from "../core/api.js";
import { count, plural } from "../core/format.js";
import { html, useRef, useState } from "../core/ui.js";
import { ask } from "./dialog.js";
import { Progress } from "./small.js";
import { toast } from "./toast.js";

const PART = 100; // jobs that one request takes

const DEEDS = {
  cancel: { word: "Cancel", text: "Waiting jobs stop at once, running ones are asked to.", danger: true,
    fields: [{ name: "reason", label: "Why", hint: "Kept with each job." }] },
  retry: { word: "Retry", text: "Jobs that failed, expired or were cancelled start over. Others are passed over." },
  priority: { word: "Change priority of", text: "Waiting jobs take their new place at once. Others are passed over.",
    fields: [{ name: "priority", label: "Priority, 0 to 10", type: "number", value: "8", min: 0, max: 10,
      required: true }] },
};

export function BulkBar({ chosen, total, asked, done }) {
  const [all, setAll] = useState(false);
  const [state, setState] = useState(null); // { looked, changed, refused } while it goes on
  const stopping = useRef(false);
  const start = async (action) => {
    const { word, text, danger, fields = [] } = DEEDS[action];
    const which = all ? `all ${total === null ? "" : `${count(total)} `}jobs that the filters find`
      : plural(chosen.length, "job");
    const values = await ask({ title: `${word} ${which}?`, text, fields, action: `${word}`.split(" ")[0], danger });
    if (!values) return;
    const extra = { reason: values.reason || undefined,
      priority: values.priority ? Number(values.priority) : undefined };
    stopping.current = false;
    const sum = { looked: 0, changed: 0, refused: 0 };
    try {
      for await (const ids of all ? found(asked) : parts(chosen)) {
        const answer = await post("/jobs/bulk", { action, job_ids: ids, ...extra });
        sum.looked += ids.length;
        sum.changed += answer.done.length;
        sum.refused += answer.refused.length;
        setState({ ...sum });
        if (stopping.current) break;
      }
      toast(`${plural(sum.changed, "job")} done${sum.refused ? `, ${count(sum.refused)} passed over` : ""}`,
        sum.changed ? "completed" : "failed");
    } catch (error) {
      toast(`${error.message} ${plural(sum.changed, "job")} had been done.`, "failed");
    }
    setState(null);
    done();
  };
  if (state) {
    const of = all ? total : chosen.length;
    return html`<div class="bulk" role="status">
      <span class="num">${count(state.looked)}${of ? ` of ${count(of)}` : ""}</span>
      ${of && html`<${Progress} fraction=${Math.min(1, state.looked / of)} message="Jobs looked at" />`}
      <button type="button" onClick=${() => { stopping.current = true; }}>Stop</button></div>`;
  }
  return html`
    <div class="bulk" role="group" aria-label="Chosen jobs">
      <span>${all ? html`All that the filters find` : html`<b class="num">${count(chosen.length)}</b> chosen`}</span>
      ${(total === null || total > chosen.length)
        && html`<button type="button" class="link" onClick=${() => setAll(!all)}>
        ${all ? "only the chosen" : total === null ? "choose all that fit" : `choose all ${count(total)}`}</button>`}
      <span class="push"></span>
      <button type="button" onClick=${() => start("priority")}>Priority</button>
      <button type="button" onClick=${() => start("retry")}>Retry</button>
      <button type="button" class="danger" onClick=${() => start("cancel")}>Cancel</button>
    </div>`;
}

function* parts(ids) {
  for (let first = 0; first < ids.length; first += PART) yield ids.slice(first, first + PART);
}

/** The ids of all jobs that filters find, page by page: a cursor goes on behind the last one, whatever became of it. */
async function* found(asked) {
  let cursor = null;
  do {
    const page = await get("/jobs", { ...asked, cursor, limit: PART, brief: true, count: false });
    if (page.jobs.length) yield page.jobs.map((job) => job.id);
    cursor = page.next_cursor;
  } while (cursor);
}
