// Where the console begins: signed in or not, and which page the path names.

import { request } from "./core/api.js";
import { startListening } from "./core/live.js";
import { matched, route, startRouting } from "./core/router.js";
import { keepToken, session } from "./core/session.js";
import { html, render, useEffect, useState } from "./core/ui.js";
import { Dialog } from "./parts/dialog.js";
import { Shell } from "./parts/shell.js";
import { Head, Nothing } from "./parts/small.js";
import { Toasts } from "./parts/toast.js";
import { SignIn } from "./pages/signin.js";

/** Path, title, and the module that shows it, fetched when it is first wanted. */
const PAGES = [
  ["/", "Overview", () => import("./pages/overview.js")],
  ["/jobs", "Jobs", () => import("./pages/jobs.js")],
  ["/jobs/:id", "Job", () => import("./pages/job.js")],
  ["/runs", "Runs", () => import("./pages/runs.js")],
  ["/runs/:id", "Run", () => import("./pages/run.js")],
  ["/schedules", "Schedules", () => import("./pages/schedules.js")],
  ["/schedules/:ref_", "Schedule", () => import("./pages/schedule.js")],
  ["/queues", "Queues", () => import("./pages/queues.js")],
  ["/queues/:name", "Queue", () => import("./pages/queue.js")],
  ["/workers", "Workers", () => import("./pages/workers.js")],
  ["/costs", "Costs", () => import("./pages/costs.js")],
  ["/dead", "Dead letters", () => import("./pages/dead.js")],
  ["/audit", "Audit log", () => import("./pages/audit.js")],
  ["/tokens", "Tokens", () => import("./pages/access.js")],
];

function App() {
  const { token, me } = session.use();
  const [failed, setFailed] = useState(null);
  useEffect(() => {
    if (token && !me) request("GET", "/whoami").then((answer) => keepToken(token, answer), setFailed);
  }, [token]);
  if (!token) return html`<${SignIn} />`;
  if (!me) return html`<div class="alone">
    <${Nothing} error=${failed} loading=${!failed} refresh=${() => location.reload()} /></div>`;
  return html`<${Shell}><${Page} /></${Shell}>`;
}

function Page() {
  const { path } = route.use();
  const [page, setPage] = useState(null);
  const found = PAGES.map(([pattern, title, load]) => ({ pattern, title, load, params: matched(pattern, path) }))
    .find(({ params }) => params);
  useEffect(() => {
    if (!found) return;
    document.title = `${found.title} · Tidegate`;
    found.load().then(
      (module) => setPage({ pattern: found.pattern, show: module.default }),
      () => setPage({ pattern: found.pattern, show: Outdated }),
    );
  }, [found?.pattern]);
  if (!found) return html`<${Head} title="There is no such page" note=${path} />`;
  if (page?.pattern !== found.pattern) return null;
  return html`<${page.show} key=${path} ...${found.params} />`;
}

/** The server was updated while this page was open: the files of its version are gone. */
const Outdated = () =>
  html`<${Nothing} error=${{ message: "The console was updated. Load it anew to go on." }}
    refresh=${() => location.reload()} />`;

startRouting();
startListening();
render(html`<${App} /><${Dialog} /><${Toasts} />`, document.getElementById("app"));
