// The frame around every page: where one is, where one can go, how the water stands.

import { count } from "../core/format.js";
import { get } from "../core/api.js";
import { line, useData } from "../core/live.js";
import { places } from "../core/places.js";
import { go, route, to } from "../core/router.js";
import { session, signOut } from "../core/session.js";
import { html, useEffect, useRef, useState } from "../core/ui.js";
import { Icon, Mark } from "./icons.js";
import { Keys } from "./keys.js";

export function Shell({ children }) {
  return html`
    <a class="skip" href="#main">Skip to the page</a>
    <div class="shell">
      <${Rail} />
      <div class="deck">
        <${Top} />
        <main id="main" tabindex="-1">${children}</main>
      </div>
    </div>
    <${Keys} />`;
}

function Rail() {
  const { path } = route.use();
  const here = (place) => (place.path === "/" ? path === "/" : path.startsWith(place.path));
  return html`
    <nav class="rail" aria-label="Pages">
      <a class="brand" href=${to("/")}><${Mark} /><span>Tidegate</span></a>
      <ul>${places().map((place) => html`<li key=${place.path} class=${place.minor ? "no-phone" : ""}>
        <${Place} place=${place} here=${here(place)} /></li>`)}
        <li class="phone-only"><${More} key=${path} places=${places().filter(({ minor }) => minor)} here=${here} />
          </li></ul>
      <${Level} />
    </nav>`;
}

const Place = ({ place, here }) => html`
  <a href=${to(place.path)} aria-current=${here ? "page" : undefined} title="g ${place.key}">
    <${Icon} name=${place.icon} /><span>${place.name}</span></a>`;

/** The pages that a phone has no room for in its bar. */
const More = ({ places: hidden, here }) => html`
  <details class="more"><summary aria-current=${hidden.some(here) ? "page" : undefined}>
    <${Icon} name="more" /><span>More</span></summary>
    <ul>${hidden.map((place) => html`<li key=${place.path}><${Place} place=${place} here=${here(place)} /></li>`)}</ul>
  </details>`;

/** How many of the slots are taken, as the level of the water at the foot of the rail. */
function Level() {
  const { data } = useData((signal) => get("/pipeline/status", null, signal), [], { every: 10_000, on: () => true });
  if (!data) return html`<div class="level"></div>`;
  const { active_jobs: active, max_concurrent_jobs: slots, is_running: running } = data.status;
  const share = slots ? Math.min(1, active / slots) : active ? 0.5 : 0;
  const text = slots ? `${count(active)} of ${count(slots)} slots` : `${count(active)} running`;
  return html`
    <div class="level" title="Jobs that run now">
      <svg viewBox="0 0 200 64" preserveAspectRatio="none" aria-hidden="true">
        <path class=${running ? "flows" : ""} style=${{ transform: `translateY(${Math.round(54 - share * 46)}px)` }}
          d="M-200 6c25-8 50-8 100 0s75 8 100 0 50-8 100 0 75 8 100 0 50-8 100 0 75 8 100 0v80h-600z" /></svg>
      <p><b>${running ? "Running" : "Paused"}</b><span class="num">${text}</span></p>
    </div>`;
}

function Top() {
  const { me } = session.use();
  return html`
    <header class="top">
      <a class="brand small" href=${to("/")} aria-label="Overview"><${Mark} size=${22} /></a>
      <span class="stage" title="Stage">${me.stage}</span>
      <${Jump} />
      <${Hearing} />
      <${Theme} />
      <${Me} me=${me} />
    </header>`;
}

/** To a job or a run by its id. */
function Jump() {
  const [text, setText] = useState("");
  const jump = async (event) => {
    event.preventDefault();
    const id = text.trim();
    if (!id) return;
    const run = await get(`/dags/${encodeURIComponent(id)}/progress`).then(() => true, () => false);
    go(to(`/${run ? "runs" : "jobs"}/${encodeURIComponent(id)}`));
    setText("");
  };
  return html`<form class="jump" role="search" onSubmit=${jump}>
    <${Icon} name="search" />
      <input id="jump" type="search" placeholder="Job or run id"
        aria-label="Go to a job or run by its id"
      value=${text} onInput=${(event) => setText(event.target.value)} spellcheck="false" autocomplete="off" />
        <kbd>/</kbd></form>`;
}

const HEARD = {
  live: ["Live", "Changes are shown as they happen."],
  asking: ["Asking", "This server does not stream events: the page asks again every few seconds."],
  lost: ["Lost", "The server does not answer. The page goes on trying."],
};

function Hearing() {
  const state = line.use();
  const [word, title] = HEARD[state];
  return html`<span class="hearing ${state}" title=${title} role="status"><i></i>${word}</span>`;
}

const THEMES = { "": ["auto", "as the system"], light: ["sun", "light"], dark: ["moon", "dark"] };

function Theme() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "");
  const next = { "": "light", light: "dark", dark: "" }[theme];
  const turn = () => {
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    localStorage.setItem("tidegate.theme", next);
    setTheme(next);
  };
  return html`<button type="button" class="bare" onClick=${turn} title="Colours: ${THEMES[theme][1]}"
    aria-label="Colours: ${THEMES[theme][1]}. Change to ${THEMES[next][1]}">
    <${Icon} name=${THEMES[theme][0]} /></button>`;
}

function Me({ me }) {
  const box = useRef(null);
  useEffect(() => {
    const close = (event) => !box.current?.contains(event.target) && box.current?.removeAttribute("open");
    addEventListener("click", close);
    return () => removeEventListener("click", close);
  }, []);
  return html`<details class="me" ref=${box}>
    <summary aria-label="Signed in as ${me.user}">${me.user}<${Icon} name="down" size=${12} /></summary>
    <div class="menu"><p><b>${me.user}</b> of ${me.tenant}</p><p class="faint">May: ${me.scopes.join(", ")}</p>
      <p class="faint">Tidegate ${me.version}</p>
      <button type="button" onClick=${() => signOut()}><${Icon} name="leave" />Sign out</button></div></details>`;
}
