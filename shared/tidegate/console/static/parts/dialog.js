// One question at a time, in the browser's own dialog: it keeps the focus, and Escape leaves it.

import { createStore } from "../core/store.js";
import { html, useEffect, useRef, useState } from "../core/ui.js";

const question = createStore(null);

/**
 * Ask before something is done. `fields` are inputs: { name, label, type, value, options, hint, required }.
 * Answers their values by name, or null when it was left.
 */
export function ask({ title, text, fields = [], action, danger = false }) {
  return new Promise((resolve) => question.set({ title, text, fields, action, danger, resolve }));
}

export function Dialog() {
  const asked = question.use();
  return asked && html`<${Question} key=${asked.title} asked=${asked} />`;
}

function Question({ asked }) {
  const box = useRef(null);
  const [values, setValues] = useState(Object.fromEntries(asked.fields.map(({ name, value }) => [name, value ?? ""])));
  const end = (answer) => {
    question.set(null);
    asked.resolve(answer);
  };
  useEffect(() => {
    const before = document.activeElement, dialog = box.current;
    dialog.showModal();
    return () => {
      dialog.close(); // as long as it is open nothing else takes the focus
      if (before?.isConnected) before.focus();
    };
  }, []);
  const submit = (event) => {
    event.preventDefault();
    end(values);
  };
  return html`
    <dialog ref=${box} aria-labelledby="question" onCancel=${(event) => { event.preventDefault(); end(null); }}
      onClick=${(event) => event.target === box.current && end(null)}>
      <form onSubmit=${submit}>
        <h2 id="question">${asked.title}</h2>
        ${asked.text && html`<p>${asked.text}</p>`}
        ${asked.fields.map((field) => html`<${Field} key=${field.name} ...${field} value=${values[field.name]}
          change=${(value) => setValues((old) => ({ ...old, [field.name]: value }))} />`)}
        <div class="actions">
          <button type="button" onClick=${() => end(null)}>Leave it</button>
          <button type="submit" class=${asked.danger ? "danger" : "main"}>${asked.action}</button>
        </div>
      </form>
    </dialog>`;
}

/** A labelled input: text, number, datetime-local, textarea, checkbox, or a choice where there are `options`. */
export function Field({ name, label, type = "text", value, change, options, hint, required = false, ...more }) {
  const id = `field-${name}`;
  const common = { id, name, required, "aria-describedby": hint ? `${id}-hint` : undefined, ...more };
  const input = options
    ? html`<select ...${common} value=${value} onChange=${(event) => change(event.target.value)}>
        ${options.map(([key, text]) =>
          html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}</select>`
    : type === "textarea"
      ? html`<textarea ...${common} rows="5" value=${value} onInput=${(event) => change(event.target.value)}>
        </textarea>`
      : type === "checkbox"
        ? html`<input ...${common} type="checkbox" checked=${value}
          onChange=${(event) => change(event.target.checked)} />`
        : html`<input ...${common} type=${type} value=${value} onInput=${(event) => change(event.target.value)} />`;
  return html`<div class="field ${type}"><label for=${id}>${label}</label>${input}
    ${hint && html`<small id="${id}-hint">${hint}</small>`}</div>`;
}
