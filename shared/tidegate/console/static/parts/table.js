// Rows that can be read, chosen and opened, by mouse and by keyboard alike: j and k move, x chooses, Enter opens.

import { html, useEffect, useRef, useState } from "../core/ui.js";

/**
 * `columns`: { key, head, cell(row), align, wide, phone, told }. `phone: false` leaves a column out on small screens,
 * where the rows have no head; with `told` it says there what it is. `nameOf(row)` is what a row is called to those who
 * do not see it. `chosen` is a Set of keys and `choose(keys)` sets it, where rows can be chosen. `open(row)` opens one.
 */
export function Table({ label, columns, rows, keyOf, nameOf = keyOf, open, chosen, choose, busy = false }) {
  const body = useRef(null);
  const [at, setAt] = useState(-1); // the row that the keyboard is at
  const now = useRef({}); // what keys act upon: keys may come faster than rows are drawn
  now.current = { ...now.current, rows, chosen, choose };
  const reach = (index) => {
    now.current.at = index;
    setAt(index);
  };
  const move = (step) => {
    const last = now.current.rows.length - 1;
    reach(Math.max(0, Math.min(last, (now.current.at ?? -1) + step)));
    body.current?.children[now.current.at]?.focus();
  };
  const toggle = (row) => {
    const next = new Set(now.current.chosen);
    if (!next.delete(keyOf(row))) next.add(keyOf(row));
    now.current.choose(next);
  };
  useEffect(() => {
    const keys = (event) => {
      if (event.target.closest("input, select, textarea, dialog")) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const row = now.current.rows[now.current.at];
      if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
      else if (event.key === "x" && now.current.choose && row) toggle(row);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, []);
  const all = chosen && rows.length > 0 && rows.every((row) => chosen.has(keyOf(row)));
  const chooseAll = () => choose(new Set(all ? [] : rows.map(keyOf)));
  const press = (event, row, index) => {
    if (event.target !== event.currentTarget) return;
    if (event.key === "Enter") open?.(row);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = body.current.children[index + (event.key === "ArrowDown" ? 1 : -1)];
      next?.focus();
    }
  };
  return html`
    <div class="table-box ${busy ? "busy" : ""}">
      <table class="rows ${open ? "opens" : ""}" aria-label=${label} aria-busy=${busy}>
        <thead><tr>
          ${choose && html`<th class="pick">
            <input type="checkbox" aria-label="Choose all on this page" checked=${all} onChange=${chooseAll} /></th>`}
          ${columns.map(({ key, head, align, phone }) =>
            html`<th key=${key} scope="col" class=${cellClass({ align, phone })}>${head}</th>`)}
        </tr></thead>
        <tbody ref=${body}>
          ${rows.map((row, index) => html`
            <tr key=${keyOf(row)} tabindex=${index === Math.max(at, 0) ? 0 : -1}
              class=${chosen?.has(keyOf(row)) ? "chosen" : ""}
              onFocus=${() => reach(index)} onKeyDown=${(event) => press(event, row, index)}
              onClick=${(event) => open && !event.target.closest("a, button, input, label")
                && !getSelection().toString() && open(row)}>
              ${choose && html`<td class="pick">
                <input type="checkbox" aria-label=${`Choose ${nameOf(row)}`} checked=${chosen.has(keyOf(row))}
                  onChange=${() => toggle(row)} /></td>`}
              ${columns.map(({ key, head, cell, ...look }) => html`
                <td key=${key} data-head=${head} class=${cellClass(look)}>${cell(row)}</td>`)}
            </tr>`)}
        </tbody>
      </table>
    </div>`;
}

const cellClass = ({ align, wide, phone, told }) =>
  [align, wide && "wide", phone === false && "no-phone", told && "told"].filter(Boolean).join(" ");
