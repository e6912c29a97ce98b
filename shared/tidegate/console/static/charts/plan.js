// What a run's graph means: entries gathered under their nodes, and depth.

const ENDED = new Set(["COMPLETED", "FAILED", "CANCELLED", "EXPIRED", "SKIPPED"]);

/** The node that an entry of a fanned-out one belongs to; null for a node itself. */
export const nodeOf = (id) => (id.includes("[") ? id.slice(0, id.indexOf("[")) : null);

/**
 * The answer of `/dags/{id}/graph` as nodes with their entries, parents and children.
 * A node: { id, job_id, name, state, start, end, entries: [node], parents: [id], children: [id], depth }.
 */
export function planOf({ nodes, edges }) {
  const plan = new Map();
  const made = (node) => ({
    ...node, start: time(node.started_at), end: ENDED.has(node.state) ? time(node.completed_at) : null, entries: [],
      parents: [], children: [], depth: 0,
  });
  for (const node of nodes) if (!nodeOf(node.id)) plan.set(node.id, made(node));
  for (const node of nodes) plan.get(nodeOf(node.id))?.entries.push(made(node));
  for (const [parent, child] of edges) {
    plan.get(parent)?.children.push(child);
    plan.get(child)?.parents.push(parent);
  }
  for (const id of inOrder(plan)) {
    const node = plan.get(id);
    node.depth = Math.max(0, ...node.parents.map((parent) => plan.get(parent).depth + 1));
    if (node.entries.length) gather(node);
  }
  return plan;
}

const time = (text) => (text ? Date.parse(text) : null);

/** A node that fans out begins with its first entry, and runs while any of them does. */
function gather(node) {
  if (!ENDED.has(node.state)) {
    node.state = ["ACTIVE", "RETRY"].find((state) => node.entries.some((entry) => entry.state === state)) ?? node.state;
  }
  const starts = node.entries.map((entry) => entry.start).filter(Boolean);
  if (starts.length) node.start = Math.min(...starts, node.start ?? Infinity);
}

/** Ids with every parent before its children. */
export function inOrder(plan) {
  const waiting = new Map([...plan].map(([id, node]) => [id, node.parents.length]));
  const ready = [...plan.keys()].filter((id) => !waiting.get(id)), order = [];
  while (order.length < ready.length) {
    const id = ready[order.length];
    order.push(id);
    for (const child of plan.get(id).children) {
      waiting.set(child, waiting.get(child) - 1);
      if (!waiting.get(child)) ready.push(child);
    }
  }
  return order;
}

/** How many of a node's jobs stand in each state: of its entries, or of itself. */
export function countsOf(node) {
  const counts = {};
  for (const each of node.entries.length ? node.entries : [node]) counts[each.state] = (counts[each.state] ?? 0) + 1;
  return counts;
}
