// What a queue can be told: the same fields, names and units as over HTTP.

import { duration } from "../core/format.js";

/** name, label, kind and hint of each setting; limits apply at once, policies to jobs submitted afterwards. */
export const LIMITS = [
  { name: "slots", label: "Jobs at once", hint: "Empty: no limit." },
  { name: "key_slots", label: "Jobs at once of one concurrency key", hint: "Empty: no limit." },
  { name: "rate_limit", label: "Starts in one period", hint: "Empty: no limit." },
  { name: "rate_period", label: "Period", options: [["second", "second"], ["minute", "minute"]] },
  { name: "max_queue_size", label: "Jobs that may wait", hint: "More are refused. Empty: no limit." },
];
export const POLICIES = [
  { name: "retry_limit", label: "Retries" },
  { name: "retry_delay", label: "Seconds before the first retry" },
  { name: "retry_delay_max", label: "Seconds before a retry, at most" },
  { name: "timeout", label: "Seconds an attempt may take" },
  { name: "expire_in_seconds", label: "Seconds a job may wait", hint: "Then it is expired. Empty: for ever." },
  { name: "keep_seconds", label: "Seconds an ended job is kept" },
  { name: "ordering", label: "Order",
    options: [["strict", "strict: priority, then age"], ["aging", "aging: nothing starves"],
      ["deadline", "deadline: least slack first"]] },
  { name: "aging_seconds", label: "Seconds of waiting that a priority is worth" },
];

/** The settings as inputs of a dialog, filled with what the queue has. */
export const fieldsOf = (settings, queue) =>
  settings.map((setting) =>
    ({ ...setting, type: setting.options ? undefined : "number", step: "any", min: 0, value: queue[setting.name] ?? ""
      }));

/** What a dialog answered, as the API takes it: only what changed; an emptied number becomes null. */
export function changedIn(settings, values, queue) {
  const changes = {};
  for (const { name, options } of settings) {
    const value = options ? values[name] : values[name] === "" || values[name] === null ? null : Number(values[name]);
    if (value !== (queue[name] ?? null)) changes[name] = value;
  }
  return changes;
}

/** The limits in a few words. */
export function limitsText(queue) {
  return [
    queue.slots && `${queue.slots} at once`,
    queue.key_slots && `${queue.key_slots} of a key`,
    queue.rate_limit && `${queue.rate_limit} a ${queue.rate_period}`,
    queue.max_queue_size && `${queue.max_queue_size} waiting`,
  ].filter(Boolean).join(", ");
}

/** The policy in a few words. */
export const policyText = (queue) =>
  `${queue.retry_limit} retries from ${duration(queue.retry_delay)}${queue.retry_backoff ? ", doubling"
    : ""}; ${duration(queue.timeout)} an attempt`;
