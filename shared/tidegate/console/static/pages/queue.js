// One queue: how its jobs stand, what holds them, and what new ones inherit.

import { at, get, patch, post } from "../core/api.js";
import { count, duration } from "../core/format.js";
import { useData } from "../core/live.js";
import { to } from "../core/router.js";
import { may } from "../core/session.js";
import { STATES, label, tone } from "../core/states.js";
import { html } from "../core/ui.js";
import { ask } from "../parts/dialog.js";
import { LIMITS, POLICIES, changedIn, fieldsOf } from "../parts/queue_settings.js";
import { Clock, Facts, Head, Nothing, Panel, Parts } from "../parts/small.js";
import { told } from "../parts/toast.js";

const NONE = { depth: 0, running: 0, ended: 0, states: {} };

export default function QueuePage({ name }) {
  const page = useData(async (signal) => {
    const paths = [at("queues", name), "/stats/queues"];
    const [policy, figures] = await Promise.all(paths.map((path) => get(path, null, signal)));
    return { queue: policy.queue, figures: figures.queues.find((each) => each.queue === name) ?? NONE };
  }, [name], { every: 5_000, on: (event) => event.job?.queue === name });
  if (!page.data) return html`<${Nothing} ...${page} />`;
  const { queue, figures } = page.data;
  const total = Object.values(figures.states).reduce((sum, n) => sum + n, 0);
  return html`
    <${Head} title=${queue.name} crumbs=${html`<a href=${to("/queues")}>Queues</a>`} note=${`pool ${queue.pool}`}>
      <${Actions} queue=${queue} changed=${page.refresh} /></${Head}>
    ${queue.paused
      && html`<p class="problem held">Paused${queue.paused_by ? ` by ${queue.paused_by}` : ""}
        ${queue.paused_reason ? `: ${queue.paused_reason}` : ""}. Running jobs go on, and jobs are still accepted.</p>`}
    <div class="runbar">${total > 0 && html`<${Parts} counts=${figures.states} total=${total} />`}
      <p>${Object.keys(STATES).filter((state) => figures.states[state])
        .map((state) =>
          html`<a key=${state} class="tone-${tone(state)}" href=${to("/jobs", { queue: name, state })}>
            <b class="num">${count(figures.states[state])}</b> ${label(state).toLowerCase()}</a>`)}
        ${!total && html`<span class="faint">It has no job.</span>`}</p></div>
    <div class="columns two">
      <${Panel} title="Limits"><${Facts} rows=${[
        ["At once",
          queue.slots ? `${count(queue.use?.running ?? figures.running)} of ${count(queue.slots)}` : "no limit"],
        ["Of one key", queue.key_slots ?? "no limit"],
        ["Starts", queue.rate_limit ? `${count(queue.rate_limit)} a ${queue.rate_period}` : "no limit"],
        ["Waiting", queue.max_queue_size ? `${count(queue.max_queue_size)} at most` : "no limit"],
      ]} /></${Panel}>
      <${Panel} title="Policy of new jobs"><${Facts} rows=${[
        ["Order", queue.ordering],
        ["Retries",
          `${queue.retry_limit}, from ${duration(queue.retry_delay)}${queue.retry_backoff
            ? ` doubling up to ${duration(queue.retry_delay_max)}` : ""}${queue.retry_jitter ? ", spread" : ""}`],
        ["Attempt", `${duration(queue.timeout)} at most`],
        ["May wait", queue.expire_in_seconds ? duration(queue.expire_in_seconds) : "for ever"],
        ["Kept", duration(queue.keep_seconds)],
        ["Changed", queue.updated_at && html`<${Clock} time=${queue.updated_at} />`],
      ]} /></${Panel}>
    </div>`;
}

function Actions({ queue, changed }) {
  if (!may("operate")) return null;
  const act = async (question, deed, success) => {
    const values = question ? await ask(question) : {};
    if (values && (await told(() => deed(values), success))) changed();
  };
  const pause = () =>
    act({ title: `Pause ${queue.name}?`,
      text: "No more of its jobs start; running ones go on, and jobs are still accepted.", action: "Pause",
      fields: [{ name: "reason", label: "Why" }] },
    ({ reason }) => post(at("queues", queue.name, "pause"), reason ? { reason } : {}), "Queue paused");
  const resume = () => act(null, () => post(at("queues", queue.name, "resume")), "Queue resumed");
  const edit = (title, settings) => act({ title, action: "Save", fields: fieldsOf(settings, queue) },
    (values) => patch(at("queues", queue.name), changedIn(settings, values, queue)), "Queue changed");
  return html`${queue.paused ? html`<button type="button" class="main" onClick=${resume}>Resume</button>`
    : html`<button type="button" onClick=${pause}>Pause</button>`}
    <button type="button" onClick=${() => edit("Limits", LIMITS)}>Limits</button>
      <button type="button" onClick=${() => edit("Policy of new jobs", POLICIES)}>Policy</button>`;
}
