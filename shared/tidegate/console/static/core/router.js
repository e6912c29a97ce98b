// Paths of the console: what is looked at is in the URL, so that it can be kept, shared and gone back to.

import { createStore } from "./store.js";

const BASE = "/console";

/** `path` without the base ("/jobs/j-1"), and `query` as URLSearchParams. */
export const route = createStore(read());

function read() {
  const path = location.pathname.slice(BASE.length).replace(/\/+$/, "") || "/";
  return { path, query: new URLSearchParams(location.search) };
}

/** The address of a path of the console, for a link. */
export const to = (path, query) => {
  const given = Object.entries(query ?? {})
    .filter(([, value]) => value !== null && value !== undefined && value !== "");
  return BASE + (path === "/" ? "" : path) + (given.length ? `?${new URLSearchParams(given)}` : "");
};

/** Go to an address that `to` made. */
export function go(address, { replace = false } = {}) {
  const before = route.get().path;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  route.set(read());
  if (route.get().path !== before) arrive();
}

/** Change the query, leaving the path: null and "" take a name out. */
export function setQuery(changes, { replace = true } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""), { replace });
}

/** Let links of the console change the page without loading it anew, and the browser's buttons go back and forth. */
export function startRouting() {
  addEventListener("popstate", () => route.set(read()));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !plain || event.defaultPrevented || link.target || !link.pathname.startsWith(BASE)) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

/** A page that was gone to begins at its top, and readers of the screen hear of it. */
function arrive() {
  scrollTo(0, 0);
  requestAnimationFrame(() => document.querySelector("main")?.focus({ preventScroll: true }));
}

/** The parts of `path` that a pattern such as "/jobs/:id" names, decoded; null where it does not fit. */
export function matched(pattern, path) {
  const wanted = pattern.split("/"), given = path.split("/");
  if (wanted.length !== given.length) return null;
  const found = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(":")) found[part.slice(1)] = decoded(given[index]);
    else if (part !== given[index]) return null;
  }
  return found;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
