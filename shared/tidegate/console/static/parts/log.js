// What a job's handler told, as it tells it: the newest lines, followed to the end, older ones where they are wanted.

import { at, get } from "../core/api.js";
import { count, exact } from "../core/format.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../core/ui.js";

const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
const PAGE = 1_000;
const KEPT = 5_000; // lines that the page holds; older ones are let go
const EVERY_MS = 1_500;

/** Lines of a job's log, read on and on while the job is open. */
function useLog(id, level, open) {
  const [state, setState] = useState({ lines: [], dropped: 0, error: null, read: false });
  useEffect(() => {
    let over = false, timer = 0, after = null;
    const pending = new AbortController();
    setState({ lines: [], dropped: 0, error: null, read: false });
    const read = async () => {
      try {
        const page = await get(at("jobs", id, "logs"), { after, level, limit: PAGE }, pending.signal);
        after = page.next_after ?? after;
        setState(({ lines, dropped }) => {
          const all = [...lines, ...page.lines], surplus = Math.max(0, all.length - KEPT);
          return { lines: surplus ? all.slice(surplus) : all, dropped: dropped + surplus, error: null, read: true };
        });
        if (page.more) read();
        else if (!page.ended && !over) timer = setTimeout(read, EVERY_MS);
      } catch (error) {
        if (over || error.name === "AbortError") return;
        setState((old) => ({ ...old, error, read: true }));
        timer = setTimeout(read, 4 * EVERY_MS);
      }
    };
    read();
    return () => { over = true; clearTimeout(timer); pending.abort(); };
  }, [id, level, open]);
  return state;
}

export function Log({ id, open }) {
  const [level, setLevel] = useState("DEBUG");
  const [words, setWords] = useState("");
  const [follow, setFollow] = useState(true);
  const box = useRef(null);
  const { lines, dropped, error, read } = useLog(id, level, open);
  const shown = useMemo(() => {
    const wanted = words.trim().toLowerCase();
    return wanted ? lines.filter((line) => line.message.toLowerCase().includes(wanted)) : lines;
  }, [lines, words]);
  useLayoutEffect(() => { if (follow && box.current) box.current.scrollTop = box.current.scrollHeight; },
    [shown, follow]);
  const scrolled = () => {
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    setFollow(scrollHeight - scrollTop - clientHeight < 24);
  };
  return html`<section class="panel log" aria-label="Log">
    <header><h2>Log</h2><div class="side">
      ${open && html`<button type="button" class="link" aria-pressed=${follow} onClick=${() => setFollow(!follow)}>
        ${follow ? "following" : "follow"}</button>`}
      <label class="inline"><span class="hidden">Level</span>
        <select value=${level} onChange=${(event) => setLevel(event.target.value)}>
          ${LEVELS.map((each) => html`<option key=${each} selected=${each === level}>${each}</option>`)}</select>
        </label>
      <label class="inline"><span class="hidden">Lines with</span>
        <input type="search" placeholder="lines with" value=${words}
          onInput=${(event) => setWords(event.target.value)} /></label>
    </div></header>
    ${dropped > 0
      && html`<p class="faint">
        ${count(dropped)} older lines are not shown; <code>tidegate logs</code> has them all.</p>`}
    ${error && html`<p class="problem">${error.message}</p>`}
    ${!lines.length
      ? html`<p class="faint">${read ? (open ? "Nothing told yet." : "It told nothing.") : "Loading"}</p>` : html`
      <div class="lines scroll" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-label="Lines of the log">
        ${shown.map((line, index) =>
          html`<div key=${dropped + index} class="level-${line.level.toLowerCase()}">
            <time title=${exact(line.time)}>${line.time.slice(11, 23)}</time><b>${line.level}</b><span>${line.message}
            </span></div>`)}
        ${!shown.length && html`<p class="faint">No line has these words.</p>`}
      </div>`}
  </section>`;
}
