// What holds a waiting job, in a few words for a list: as far as the job and its queue tell. Its page knows all of it.

import { get } from "../core/api.js";
import { ago, count } from "../core/format.js";
import { useData } from "../core/live.js";
import { WAITING } from "../core/states.js";

/** Every queue by its name, with `paused`, `slots` and how many of its jobs run. */
export function useQueues(every = 10_000) {
  const { data } = useData(async (signal) => {
    const [{ queues }, figures] = await Promise.all([get("/queues", null, signal), get("/stats/queues", null, signal)]);
    const known = new Map(figures.queues.map((each) => [each.queue, each]));
    return new Map(queues.map((queue) => [queue.name, { ...queue, ...FREE, ...known.get(queue.name) }]));
  }, [], { every, on: (event) => event.job?.state !== event.job?.old_state });
  return data ?? new Map();
}

const FREE = { running: 0, depth: 0 };

export const isFull = (queue) => Boolean(queue?.slots) && queue.running >= queue.slots;

export function heldBy(job, queues, now = Date.now()) {
  if (!WAITING.includes(job.state)) return null;
  if (job.blocked) return "after other jobs of its run";
  if (job.wake_at && Date.parse(job.wake_at) > now) {
    return `${job.state === "RETRY" ? "next try" : "starts"} ${ago(job.wake_at, now)}`;
  }
  const queue = queues.get(job.queue);
  if (queue?.paused) return `${job.queue} is paused`;
  if (isFull(queue)) return `${job.queue} is full: ${count(queue.running)} of ${count(queue.slots)} run`;
  return "in line";
}
