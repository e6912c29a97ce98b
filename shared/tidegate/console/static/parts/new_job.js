// Submitting a job by hand: for a first try, or to run one thing again with other data.

import { get, post } from "../core/api.js";
import { go, to } from "../core/router.js";
import { ask } from "./dialog.js";
import { toast } from "./toast.js";

/** Ask for a job and submit it; what was written stays until it is accepted, or left. */
export async function submitJob(given = {}) {
  const queues = await get("/queues").then(({ queues: found }) => found.map(({ name }) => name), () => ["default"]);
  let values = { name: "", data: "{}", queue: "default", priority: "5", tags: "", ...given };
  for (;;) {
    values = await ask({ title: "New job", action: "Submit", fields: fields(values, queues) });
    if (!values) return;
    try {
      const answer = await post("/jobs", bodyOf(values));
      toast(answer.message);
      go(to(`/jobs/${encodeURIComponent(answer.job_id)}`));
      return;
    } catch (error) {
      toast(error instanceof SyntaxError ? `The data is not JSON: ${error.message}` : error.message, "failed");
    }
  }
}

const fields = (values, queues) => [
  { name: "name", label: "Name", value: values.name, required: true, hint: "Of the handler that runs it." },
  { name: "data", label: "Data", type: "textarea", value: values.data, hint: "Any JSON." },
  { name: "queue", label: "Queue", value: values.queue, options: queues.map((name) => [name, name]) },
  { name: "priority", label: "Priority, 0 to 10", type: "number", value: values.priority, min: 0, max: 10,
    required: true },
  { name: "tags", label: "Tags", value: values.tags, hint: "With commas between them." },
];

function bodyOf({ name, data, queue, priority, tags }) {
  const words = tags.split(",").map((tag) => tag.trim()).filter(Boolean);
  return { name: name.trim(), data: data.trim() ? JSON.parse(data) : null, queue, priority: Number(priority),
    tags: words };
}
