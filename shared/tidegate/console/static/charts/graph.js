// A run's graph: laid out once, coloured as its jobs move. Drag to look elsewhere, wheel or buttons to come nearer.

import { count, duration, plural } from "../core/format.js";
import { go, to } from "../core/router.js";
import { STATES, label, tone } from "../core/states.js";
import { html, useEffect, useMemo, useRef, useState } from "../core/ui.js";
import { Icon } from "../parts/icons.js";
import { useWidth } from "./scale.js";
import { countsOf } from "./plan.js";

const WIDE = 172, HIGH = 44, LETTERS = 20;
const LEGIBLE = 0.62, LARGEST = 1.15; // scales: of the smallest writing that can be read, and of a graph that is small
const ALMOST = 0.85; // so much of LEGIBLE will do where it shows all of a graph
const MOST = 1_500; // nodes that are laid out; larger runs are shown as a mosaic of their depths

const policy = window.trustedTypes?.createPolicy("tidegate", { createScriptURL: (url) => url });
const SCRIPT = new URL("./layout.js", import.meta.url).href;

export function Graph({ plan, path }) {
  if (plan.size > MOST) return html`<${Mosaic} plan=${plan} />`;
  return html`<${Drawn} plan=${plan} path=${path} />`;
}

/** Where every node and edge is; null until the worker has found out. The shape decides, not the states. */
function useLayout(plan) {
  const shape = useMemo(() => JSON.stringify([...plan.values()].map(({ id, parents }) => [id, parents])), [plan]);
  const [found, setFound] = useState(null);
  useEffect(() => {
    setFound(null);
    const worker = new Worker(policy ? policy.createScriptURL(SCRIPT) : SCRIPT, { type: "module" });
    worker.onmessage = ({ data }) => setFound(data);
    const edges = [...plan.values()].flatMap(({ id, parents }) => parents.map((parent) => [parent, id]));
    worker.postMessage({ nodes: [...plan.keys()], edges, width: WIDE, height: HIGH });
    return () => worker.terminate();
  }, [shape]);
  return found;
}

function Drawn({ plan, path }) {
  const found = useLayout(plan);
  const [ref, width] = useWidth();
  const [view, setView] = useState(null); // { x, y, scale } of the corner that is seen
  const drag = useRef(null);
  const height = found && width ? between(160, found.height * readable(found, width), 520) : 220;
  const fit = useMemo(() => found && width && firstView(found, plan, width, height), [found, width]);
  const seen = view ?? fit;
  if (!seen) return html`<div class="graph" ref=${ref}>
    <p class="faint" aria-busy="true">Laying out ${plural(plan.size, "node")}</p></div>`;
  const zoom = (factor, cx = width / 2, cy = height / 2) => {
    const scale = Math.max(0.08, Math.min(2.5, seen.scale * factor));
    setView({ scale, x: seen.x + cx / seen.scale - cx / scale, y: seen.y + cy / seen.scale - cy / scale });
  };
  const wheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls on
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, event.offsetX, event.offsetY);
  };
  const hold = (event) => {
    if (event.button === 0) drag.current = { x: event.clientX, y: event.clientY, view: seen, moved: false }; };
  const pull = (event) => {
    const held = drag.current;
    if (!held) return;
    const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
    if (!held.moved && Math.hypot(dx, dy) < 4) return;
    held.moved = true;
    setView({ ...held.view, x: held.view.x - dx / held.view.scale, y: held.view.y - dy / held.view.scale });
  };
  const drop = () => setTimeout(() => { drag.current = null; });
  const open = (node) => !drag.current?.moved && go(to(`/jobs/${encodeURIComponent(node.job_id)}`));
  const place = new Map(found.nodes.map((node) => [node.id, node]));
  const critical = new Set(path.slice(1).map((id, index) => `${path[index]}\n${id}`)), on = new Set(path);
  return html`
    <div class="graph" ref=${ref}>
      <svg width=${width} height=${height} viewBox="${seen.x} ${seen.y} ${width / seen.scale} ${height / seen.scale}"
        role="group" aria-label="Graph of ${plural(plan.size, "node")}"
        onWheel=${wheel} onPointerDown=${hold} onPointerMove=${pull} onPointerUp=${drop} onPointerLeave=${drop}>
        ${found.edges.map(({ parent, child, points }) =>
          html`<path key="${parent}\n${child}" d=${curve(place.get(parent), points, place.get(child))}
            class=${edgeClass(critical.has(`${parent}\n${child}`), plan.get(parent))} />`)}
        ${found.nodes.map(({ id, x, y }) => plan.has(id)
          && html`<${Node} key=${id} node=${plan.get(id)} x=${x - WIDE / 2} y=${y - HIGH / 2} critical=${on.has(id)}
            open=${open} />`)}
      </svg>
      <div class="zoom">
        <button type="button" class="bare" onClick=${() => zoom(1.3)} aria-label="Nearer" title="Nearer">+</button>
        <button type="button" class="bare" onClick=${() => zoom(1 / 1.3)} aria-label="Farther"
          title="Farther">−</button>
        <button type="button" class="bare" onClick=${() => setView(wholeView(found, width, height))}
          aria-label="All of it" title="All of it">
          <${Icon} name="fit" size=${14} /></button></div>
    </div>`;
}

const between = (least, n, most) => Math.max(least, Math.min(most, n));

/** As large as fits the width, but never too small to be read; a little smaller where that shows all of it. */
const readable = (found, width) => {
  const whole = width / found.width;
  return whole > LEGIBLE * ALMOST ? Math.min(whole, LARGEST) : LEGIBLE;
};

/** What is looked at first: all of it where it can be read, else around what runs or failed, else its beginning. */
function firstView(found, plan, width, height) {
  const scale = readable(found, width), wide = width / scale, high = height / scale;
  const at = found.nodes.find(({ id }) => ["ACTIVE", "FAILED"].includes(plan.get(id)?.state)) ?? { x: 0, y: 0 };
  const from = (centre, seen, whole) =>
    (seen >= whole ? (whole - seen) / 2 : between(0, centre - seen / 2, whole - seen));
  return { x: from(at.x, wide, found.width), y: from(at.y, high, found.height), scale };
}

function wholeView(found, width, height) {
  const scale = Math.min(LARGEST, width / found.width, height / found.height);
  return { x: (found.width - width / scale) / 2, y: (found.height - height / scale) / 2, scale };
}

const edgeClass = (critical, parent) =>
  `edge ${critical ? "critical" : ""} ${parent?.state === "COMPLETED" ? "passed" : ""}`;

/** What nodes do that Tidegate runs itself. */
const OWN = { "tidegate.choose": "choice", "tidegate.collect": "run within", "tidegate.gather": "list" };

function Node({ node, x, y, critical, open }) {
  const { sign, filled } = STATES[node.state] ?? STATES.CREATED;
  const fans = node.entries.length;
  const counts = countsOf(node), done = (counts.COMPLETED ?? 0) + (counts.SKIPPED ?? 0);
  const took = node.start === null ? "" : duration(((node.end ?? Date.now()) - node.start) / 1_000);
  const under = fans ? `${count(done)} of ${count(fans)}`
    : [node.name === node.id ? "" : cut(OWN[node.name] ?? node.name, 15), took].filter(Boolean).join(" · ");
  const title = `${node.id}: ${label(node.state)}${fans ? `, ${under}` : ""}`;
  const press = (event) => event.key === "Enter" && open(node);
  return html`
    <g class="node tone-${tone(node.state)} ${critical ? "critical" : ""} ${node.state === "ACTIVE" ? "runs" : ""}"
      transform="translate(${x} ${y})" tabindex="0" role="link"
      aria-label=${title} onClick=${() => open(node)} onKeyDown=${press}><title>${title}</title>
      ${fans > 1 && html`<rect class="behind" x="4" y="-4" width=${WIDE} height=${HIGH} rx="6" />`}
      <rect width=${WIDE} height=${HIGH} rx="6" />
      ${fans > 0 && html`<rect class="share" y=${HIGH - 4} width=${(WIDE * done) / fans} height="4" rx="2" />`}
      <svg x="9" y="13" width="18" height="18" viewBox="0 0 16 16" class="icon sign ${filled ? "filled" : ""}">
        <path d=${sign} /></svg>
      <text x="34" y=${under ? 19 : 27} class="title">${cut(node.id, LETTERS)}</text>
      ${under && html`<text x="34" y="34">${under}</text>`}
    </g>`;
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** From the right side of a node to the left side of another, by the ways that the layout keeps free between others. */
function curve(from, points, to) {
  const stops = [{ x: from.x + WIDE / 2, y: from.y }, ...points.slice(2, -2), { x: to.x - WIDE / 2, y: to.y }];
  let path = `M${stops[0].x} ${stops[0].y}`;
  for (const [index, stop] of stops.slice(1).entries()) {
    const before = stops[index], half = (stop.x - before.x) / 2;
    path += `C${before.x + half} ${before.y} ${stop.x - half} ${stop.y} ${stop.x} ${stop.y}`;
  }
  return path;
}

const TILE = 9;

/** Every node of a large run as a tile in the column of its depth. */
function Mosaic({ plan }) {
  const columns = useMemo(() => {
    const found = [];
    for (const node of plan.values()) (found[node.depth] ??= []).push(node);
    return found;
  }, [plan]);
  const canvas = useRef(null);
  const [over, setOver] = useState(null);
  const rows = 48, places = [];
  let x = 0;
  for (const column of columns) {
    for (const [index, node] of column.entries()) {
      places.push({ node, x: x + Math.floor(index / rows) * TILE, y: (index % rows) * TILE });
    }
    x += Math.ceil(column.length / rows) * TILE + TILE;
  }
  useEffect(() => {
    const context = canvas.current.getContext("2d"), ratio = devicePixelRatio;
    canvas.current.width = x * ratio;
    canvas.current.height = rows * TILE * ratio;
    context.scale(ratio, ratio);
    const style = getComputedStyle(canvas.current);
    const colours = Object.fromEntries(Object.keys(STATES)
      .map((state) => [state, style.getPropertyValue(`--${tone(state)}`)]));
    for (const place of places) {
      context.fillStyle = colours[place.node.state];
      context.globalAlpha = place.node.state === "CREATED" ? 0.35 : 1;
      context.fillRect(place.x, place.y, TILE - 2, TILE - 2);
    }
  }, [plan]);
  const at = (event) =>
    places.find((place) => event.offsetX >= place.x && event.offsetX < place.x + TILE && event.offsetY >= place.y
      && event.offsetY < place.y + TILE)?.node;
  return html`<div class="mosaic scroll" tabindex="0" role="group"
    aria-label=${`${plural(plan.size, "node")} by depth`}>
      <canvas ref=${canvas} style=${{ width: `${x}px`, height: `${rows * TILE}px` }}
        onMouseMove=${(event) => setOver(at(event))} onMouseLeave=${() => setOver(null)}
        onClick=${(event) => { const node = at(event);
          if (node) go(to(`/jobs/${encodeURIComponent(node.job_id)}`)); }}></canvas></div>
    <p class="faint">
      ${over ? html`<b>${over.id}</b> ${label(over.state)}`
      : `${plural(plan.size, "node")} in ${plural(columns.length, "step")}: too many to be drawn with their edges.`}
    </p>`;
}
