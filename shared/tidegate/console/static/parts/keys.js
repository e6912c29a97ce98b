// What the keyboard can do, everywhere.

import { places } from "../core/places.js";
import { go, to } from "../core/router.js";
import { html, useEffect, useRef, useState } from "../core/ui.js";

const WAIT_MS = 1_200;
const OTHERS = [["/", "go to a job or run by its id"], ["j  k", "next and previous row"], ["Enter", "open the row"],
  ["x", "choose the row"], ["f", "filter"], ["?", "these keys"]];

export function Keys() {
  const box = useRef(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    let after = 0; // when g was pressed
    const press = (event) => {
      if (event.target.closest?.("input, select, textarea, dialog") || event.ctrlKey || event.metaKey
        || event.altKey) return;
      const place = Date.now() - after < WAIT_MS && places().find(({ key }) => key === event.key);
      after = event.key === "g" ? Date.now() : 0;
      if (place) go(to(place.path));
      else if (event.key === "/") document.getElementById("jump").focus();
      else if (event.key === "f") document.querySelector(".filters input, .filters select, .filters button")?.focus();
      else if (event.key === "?") setOpen(true);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  useEffect(() => { if (open) box.current.showModal(); }, [open]);
  return open && html`
    <dialog ref=${box} class="keys" aria-labelledby="keys" onClose=${() => setOpen(false)}
      onClick=${(event) => event.target === box.current && box.current.close()}>
      <form method="dialog"><h2 id="keys">Keys</h2>
        <dl>${places()
          .map(({ name, key }) => html`<div key=${key}><dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${name}</dd></div>`)}
          ${OTHERS.map(([key, what]) =>
            html`<div key=${key}><dt>${key.split("  ").map((each) => html`<kbd key=${each}>${each}</kbd> `)}</dt>
              <dd>${what}</dd></div>`)}</dl>
        <div class="actions"><button class="main">Close</button></div></form>
    </dialog>`;
}
