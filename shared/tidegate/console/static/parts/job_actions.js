// What can be done to one job, as far as the caller may.

import { at, del, post } from "../core/api.js";
import { go, to } from "../core/router.js";
import { may } from "../core/session.js";
import { RESTARTABLE, WAITING, isOpen } from "../core/states.js";
import { html } from "../core/ui.js";
import { ask } from "./dialog.js";
import { submitJob } from "./new_job.js";
import { told } from "./toast.js";

export function JobActions({ job, changed }) {
  if (!may("submit")) return null;
  const act = async (question, deed, success) => {
    const values = question ? await ask(question) : {};
    if (values && (await told(() => deed(values), success))) changed();
  };
  const cancel = () => act(
    { title: "Cancel this job?",
      text: job.state === "ACTIVE" ? "Its handler is asked to stop." : "It will not start.", action: "Cancel",
      danger: true, fields: [{ name: "reason", label: "Why" }] },
    ({ reason }) => post(at("jobs", job.id, "cancel"), reason ? { reason } : {}), (answer) => answer.message);
  const retry = () => act(null, () => post(at("jobs", job.id, "retry")), "Job queued again");
  const move = () => act(
    { title: "Change its priority", action: "Change",
      fields: [{ name: "priority", label: "Priority, 0 to 10", type: "number", value: String(job.priority), min: 0,
        max: 10, required: true }] },
    ({ priority }) => post(at("jobs", job.id, "priority"), { priority: Number(priority) }), "Job priority changed");
  const erase = async () => {
    const sure = await ask({ title: "Erase this job?", text: "Its data, result, log and history go with it.",
      action: "Erase", danger: true });
    if (sure && (await told(() => del(at("jobs", job.id)), "Job erased"))) go(to("/jobs"));
  };
  const again = () => submitJob({
    name: job.name, queue: job.queue, priority: String(job.priority), tags: job.tags.join(", "),
      data: JSON.stringify(job.data, null, 2),
  });
  return html`
    ${!isOpen(job.state) && !job.dag_id && !job.omitted?.includes("data")
      && html`<button type="button" onClick=${again}>Submit a copy</button>`}
    ${WAITING.includes(job.state) && html`<button type="button" onClick=${move}>Priority</button>`}
    ${RESTARTABLE.includes(job.state) && html`<button type="button" class="main" onClick=${retry}>Retry</button>`}
    ${isOpen(job.state) && !job.cancel_requested
      && html`<button type="button" class="danger" onClick=${cancel}>Cancel</button>`}
    ${!isOpen(job.state) && html`<button type="button" class="danger" onClick=${erase}>Erase</button>`}`;
}
