// Why a job does not run, or ended as it did: every gate that holds it, each with its facts.

import { at, get } from "../core/api.js";
import { useData } from "../core/live.js";
import { html } from "../core/ui.js";
import { Icon } from "./icons.js";
import { Ago } from "./small.js";

const SILENT = new Set(["COMPLETED", "ACTIVE"]);

export function Why({ job }) {
  if (SILENT.has(job.state)) return null;
  return html`<${Answer} id=${job.id} state=${job.state} key=${job.state} />`;
}

function Answer({ id, state }) {
  const { data } = useData((signal) => get(at("jobs", id, "why"), null, signal), [id, state],
    { every: 5_000, on: (event) => event.job?.id === id });
  if (!data) return null; // the question is beside the point where the API does not answer it
  const { verdict, gates, expected_start: expected } = data.why;
  const holding = gates.filter((gate) => gate.holds), open = gates.filter((gate) => !gate.holds);
  return html`<section class="why" aria-label="Why">
    <p class="verdict"><${Icon} name="help" /><b>${verdict}</b>
      ${expected && html`<span class="faint">Expected to start <${Ago} time=${expected} />.</span>`}</p>
    ${holding.length > 0 && html`<ul>${holding.map((gate) => html`<${Gate} key=${gate.gate} gate=${gate} />`)}</ul>`}
    ${open.length > 0
      && html`<details><summary>${open.length} gates stand open</summary>
        <ul>${open.map((gate) => html`<${Gate} key=${gate.gate} gate=${gate} />`)}</ul></details>`}
  </section>`;
}

const Gate = ({ gate }) => html`<li class=${gate.holds ? "holds" : "open"}>
  <${Icon} name=${gate.holds ? "pause" : "check"} size=${14} /><span>${gate.message}
  <span class="facts-line">
    ${Object.entries(gate.facts ?? {})
    .map(([name, value]) =>
      html`<span key=${name}>${name} <b>${typeof value === "object" ? JSON.stringify(value) : String(value)}</b>
        </span>`)}</span></span></li>`;
