// Where things stand in a chart.

import { useEffect, useRef, useState } from "../core/ui.js";

/** The width of an element in pixels, and the ref to give it. */
export function useWidth() {
  const ref = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watcher.observe(ref.current);
    return () => watcher.disconnect();
  }, []);
  return [ref, width];
}

/** A round number not below n. */
export function ceiling(n) {
  if (n <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 3, 4, 6, 8, 10].map((each) => each * power).find((each) => each >= n);
}

const HOUR = 3_600_000;
const STEPS = [60_000, 5 * 60_000, 15 * 60_000, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 168 * HOUR];

/** Times between two, at round hours or days of the reader's clock, at most so many, each with its text. */
export function timeTicks(from, to, most) {
  const step = STEPS.find((each) => (to - from) / each <= most) ?? STEPS.at(-1);
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - zone) / step) * step + zone;
  const ticks = [];
  for (let at = first; at <= to; at += step) ticks.push({ at, text: tickText(at, step) });
  return ticks;
}

function tickText(at, step) {
  const date = new Date(at);
  if (step >= 24 * HOUR || (date.getHours() === 0 && date.getMinutes() === 0)) {
    return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  }
  return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
