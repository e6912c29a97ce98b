// What happens, as it happens: transitions of jobs by server-sent events where the API streams them, else by asking.

import { createStore } from "./store.js";
import { session } from "./session.js";
import { useEffect, useRef, useState } from "./ui.js";

const RETRY_MS = 2_000;
const SOON_MS = 800; // at least, between two looks that events caused

/** How the page hears of changes: "live" by events, "asking" every few seconds, "lost" while the server is away. */
export const line = createStore("asking");

const listeners = new Set();
let position = null; // of the last event heard: where a stream that broke goes on
let stream = null;

/** Have a function called with every event; answers how to end that. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Follow events as long as somebody is signed in and looks. */
export function startListening() {
  const follow = () => {
    const wanted = session.get().me?.streams && document.visibilityState === "visible";
    if (wanted && !stream) run();
    if (!wanted) stop();
  };
  session.watch(follow);
  document.addEventListener("visibilitychange", follow);
  follow();
}

function stop() {
  stream?.abort();
  stream = null;
  line.set("asking");
}

async function run() {
  const mine = (stream = new AbortController());
  while (stream === mine) {
    try {
      const query = position === null ? "" : `?after=${position}`;
      const headers = { authorization: `Bearer ${session.get().token}` };
      const response = await fetch(`/events${query}`, { headers, signal: mine.signal, cache: "no-store" });
      if (!response.ok) throw new Error(String(response.status));
      line.set("live");
      for await (const message of messages(response.body)) hear(message);
    } catch (error) {
      if (error.name === "AbortError") return;
    }
    if (stream !== mine) return;
    line.set("lost");
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function hear({ id, type, data }) {
  if (id) position = id;
  const event = type === "events.gap" ? { type } : data && JSON.parse(data);
  if (event) for (const listener of [...listeners]) listener(event);
}

/** The messages of a stream of server-sent events. */
export async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) yield message(block);
  }
}

function message(block) {
  const found = {};
  for (const row of block.split("\n")) {
    const colon = row.indexOf(": ");
    if (colon > 0) found[row.slice(0, colon)] = row.slice(colon + 2);
  }
  return { id: found.id, type: found.event, data: found.data };
}

/**
 * What `load(signal)` answers, and again: every so many ms, soon after an event that `on` wants, and on `refresh()`.
 * `every` is a number, which events make longer, or a function of the data, which they do not; `idle`: nothing is asked
 * for at all. Nothing is asked while nobody looks. The last answer stays while a newer one is on its way, or fails to
 * come.
 */
export function useData(load, deps, { every = 10_000, on = null, gap = () => SOON_MS, idle = false } = {}) {
  const [state, setState] = useState({ data: null, error: null, loading: true });
  const refresh = useRef(() => {});
  useEffect(() => {
    let over = false, timer = 0, due = Infinity, asked = 0, pending = null, newest = null;
    setState((old) => ({ ...old, loading: true }));
    const later = (ms) => {
      const when = Date.now() + ms;
      if (over || idle || when >= due) return;
      clearTimeout(timer);
      due = when;
      timer = setTimeout(look, ms);
    };
    const look = async () => {
      clearTimeout(timer);
      due = Infinity;
      if (document.visibilityState !== "visible" && asked) return;
      pending?.abort();
      const mine = (pending = new AbortController());
      asked = Date.now();
      try {
        const data = (newest = await load(mine.signal));
        if (!over && mine === pending) setState({ data, error: null, loading: false });
      } catch (error) {
        if (over || error.name === "AbortError") return;
        setState((old) => ({ ...old, error, loading: false }));
      }
      if (mine === pending) later(typeof every === "function" ? every(newest) : on && line.get() === "live"
        ? every * 3 : every);
    };
    const seen = () => document.visibilityState === "visible" && look();
    const deaf = on ? listen((event) => {
      if (event.type === "events.gap" || on(event)) later(Math.max(150, asked + gap(newest) - Date.now()));
    }) : () => {};
    refresh.current = look;
    document.addEventListener("visibilitychange", seen);
    if (!idle) look();
    return () => {
      over = true;
      clearTimeout(timer);
      pending?.abort();
      deaf();
      document.removeEventListener("visibilitychange", seen);
    };
  }, [...deps, idle]);
  return { ...state, refresh: () => refresh.current() };
}

/** The time, for a component that shows how long ago something was; drawn again every so many ms. */
export function useNow(every = 1_000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
