// Numbers, durations and times for people: short, aligned, never wrong by rounding up to another unit.

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "m"], [1, "s"]];

export const NONE = "–";

/** 12,345 */
export const count = (n) => (n === null || n === undefined ? NONE : WHOLE.format(n));

/** 12.3K from 10,000 on. */
export const short = (n) => (n === null || n === undefined ? NONE : n < 10_000 ? WHOLE.format(n) : SHORT.format(n));

/** $12.30, $0.0032: small sums to two digits that count. */
export function dollars(n) {
  if (n === null || n === undefined) return NONE;
  if (n === 0 || n >= 0.1) return `$${n >= 10_000 ? SHORT.format(n) : n === 0 ? "0" : n.toFixed(2)}`;
  return n < 1e-6 ? "< $0.000001" : `$${n.toFixed(Math.min(7, 1 - Math.floor(Math.log10(n))))}`;
}

/** The day of UTC so many days ago, as 2026-01-31. */
export const daysAgo = (days, now = Date.now()) => new Date(now - days * 86_400_000).toISOString().slice(0, 10);

/** 99.5 % */
export const percent = (n) => (n === null || n === undefined ? NONE : `${n} %`);

/** 0.4 s, 12 s, 3 m 20 s, 2 h 5 m, 3 d 4 h */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return NONE;
  if (seconds < 1) return `${Math.max(0, Math.floor(seconds * 1000))} ms`;
  if (seconds < 10) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const first = UNITS.findIndex(([size]) => whole >= size);
  const [size, unit] = UNITS[first], next = UNITS[first + 1];
  const rest = next ? Math.floor((whole % size) / next[0]) : 0;
  return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${next[1]}` : ""}`;
}

/** The same to its largest unit: 3 m */
export const coarse = (seconds) => duration(seconds).split(" ").slice(0, 2).join(" ");

/** Seconds from one RFC 3339 time to another, or to now. */
export const between = (from, to = null, now = Date.now()) =>
  from ? ((to ? Date.parse(to) : now) - Date.parse(from)) / 1000 : null;

/** "14:03:22" of today, else "3 May 14:03", or with its year. */
export function clock(time, now = Date.now()) {
  if (!time) return NONE;
  const date = new Date(time), today = new Date(now);
  if (date.toDateString() === today.toDateString()) return date.toLocaleTimeString("en-GB");
  const day = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  const year = date.getFullYear() === today.getFullYear() ? {} : { year: "numeric" };
  return date.toLocaleString("en-GB", { ...day, ...year }).replace(",", "");
}

/** "3 m ago", "in 2 h" */
export function ago(time, now = Date.now()) {
  if (!time) return NONE;
  const seconds = (now - Date.parse(time)) / 1000;
  if (Math.abs(seconds) < 1.5) return "now";
  const whole = Math.floor(Math.abs(seconds));
  const [size, unit] = UNITS.find(([each]) => whole >= each);
  const text = `${Math.floor(whole / size)} ${unit}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** The whole time in the reader's zone and in UTC, for a title. */
export const exact = (time) =>
  time ? `${new Date(time).toLocaleString("en-GB", { dateStyle: "full", timeStyle: "long" })}\n${time}` : "";

/** The end of an id that tells it apart at a glance; ids of one's own are shown whole while they are short. */
export const tail = (id) =>
  (/^[0-9a-f]{8}-[0-9a-f]{4}-/.test(id) ? `…${id.slice(-8)}` : id.length > 26 ? `${id.slice(0, 24)}…` : id);

/** 1 job, 2 jobs */
export const plural = (n, word, many = `${word}s`) => `${count(n)} ${n === 1 ? word : many}`;

/** Bytes of a text as UTF-8, for people. */
export function size(text) {
  const bytes = new TextEncoder().encode(text).length;
  return bytes < 1_000 ? `${bytes} B` : bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} KB`
    : `${(bytes / 1e6).toFixed(1)} MB`;
}
