// The latest times of a schedule as a row of marks, oldest first: each in the colour of what became of it.

import { clock } from "../core/format.js";
import { to } from "../core/router.js";
import { label, tone } from "../core/states.js";
import { html } from "../core/ui.js";

const FATES = { fired: "fired", backfilled: "run afterwards", missed: "missed",
  overlapped: "left out: the one before still ran", held: "left out: all were paused", refused: "its job was refused" };

const RAN = new Set(["fired", "backfilled"]);
const made = (run) => run.job ?? run.dag;

/** What became of one time, in words. */
export const fateText = (run) => (made(run) ? label(made(run).state) : FATES[run.fate] ?? run.fate);

/** The tone of one time: of its job's state, or of having been let go. */
export const fateTone = (run) =>
  (made(run) ? tone(made(run).state)
    : run.fate === "refused" ? "failed" : RAN.has(run.fate) ? "completed" : "skipped");

export const Spark = ({ runs }) => html`
  <span class="spark">${[...runs].reverse().map((run) => {
    const title = `${clock(run.scheduled_for)}: ${fateText(run)}`;
    return made(run)
      ? html`<a key=${run.fate + run.scheduled_for} class="tone-${fateTone(run)}"
        href=${to(`/${run.job ? "jobs" : "runs"}/${encodeURIComponent(made(run).id)}`)}
        title=${title} aria-label=${title}></a>`
      : html`<i key=${run.fate + run.scheduled_for} class="tone-${fateTone(run)} ${RAN.has(run.fate) ? "" : "let-go"}"
        title=${title}></i>`;
  })}</span>`;
