// Why a job does not run, or ended as it did: every gate that holds it, each with its facts.

import { at, get } from "../core/api.js";
import { plural } from "../core/format.js";
import { useData } from "../core/live.js";
import { WAITING } from "../core/states.js";
import { html } from "../core/ui.js";
import { Icon } from "./icons.js";
import { Ago, JobLink } from "./small.js";

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
  const waits = WAITING.includes(state);
  const holding = gates.filter((gate) => gate.holds), open = gates.filter((gate) => !gate.holds);
  return html`<section class="why" aria-label="Why">
    <p class="verdict"><${Icon} name="help" /><span><b>${verdict}</b>${" "}
      ${expected && html`<span class="faint">Expected to start <${Ago} time=${expected} />.</span>`}</span></p>
    ${waits && holding.length === 1 && html`<${Facts} facts=${holding[0].facts} />`}
    ${waits && holding.length > 1
      && html`<ul>${holding.map((gate) => html`<${Gate} key=${gate.gate} gate=${gate} />`)}</ul>`}
    ${open.length > 0
      && html`<details><summary>${plural(open.length, "other gate stands", "other gates stand")} open</summary>
        <ul>${open.map((gate) => html`<${Gate} key=${gate.gate} gate=${gate} />`)}</ul></details>`}
  </section>`;
}

const Gate = ({ gate }) => html`<li class=${gate.holds ? "holds" : "open"}>
  <${Icon} name=${gate.holds ? "pause" : "check"} size=${14} />
  <span>${gate.message}<${Facts} facts=${gate.facts} /></span></li>`;

/** The figures behind a gate, each under its name; what is not known is left out. */
function Facts({ facts }) {
  const known = Object.entries(facts ?? {})
    .filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  return html`<span class="facts-line">${known.map(([name, value]) =>
    html`<span key=${name}>${name.replaceAll("_", " ")}${" "}<b><${Fact} name=${name} value=${value} /></b></span>`)}
  </span>`;
}

const TIME = /_(at|until|after)$/, ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SHOWN = 3; // values of a list

function Fact({ name, value }) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string" && TIME.test(name)) return html`<${Ago} time=${value} />`;
  if (typeof value === "string" && ID.test(value)) return html`<${JobLink} id=${value} />`;
  if (!Array.isArray(value)) return typeof value === "object" ? JSON.stringify(value) : String(value);
  const more = value.length - SHOWN;
  return html`${value.slice(0, SHOWN).map((each, index) =>
    html`<span key=${index}>${index > 0 && ", "}<${Fact} name=${name} value=${each} /></span>`)}
    ${more > 0 && ` and ${more} more`}`;
}
