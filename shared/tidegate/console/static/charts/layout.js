// A worker of its own: lays a graph out with dagre, so that the page goes on while it thinks.

import { Graph, layout } from "../vendor/dagre.mjs";

onmessage = ({ data: { nodes, edges, width, height } }) => {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 56, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of nodes) graph.setNode(id, { width, height });
  for (const [parent, child] of edges) graph.setEdge(parent, child);
  layout(graph);
  const size = graph.graph();
  postMessage({
    width: size.width,
    height: size.height,
    nodes: nodes.map((id) => ({ id, x: graph.node(id).x, y: graph.node(id).y })),
    edges: edges.map(([parent, child]) => ({ parent, child, points: graph.edge(parent, child).points })),
  });
};
