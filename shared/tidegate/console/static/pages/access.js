// Who may do what here: the tenant's tokens, for its admins.

import { at, del, get, post } from "../core/api.js";
import { plural } from "../core/format.js";
import { useData } from "../core/live.js";
import { may } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { ask } from "../parts/dialog.js";
import { Ago, Clock, Copy, Head, Nothing } from "../parts/small.js";
import { Table } from "../parts/table.js";
import { told } from "../parts/toast.js";

const SCOPES = [["read", "see jobs, runs and figures"], ["submit", "submit, cancel and retry"], ["work", "run jobs"],
  ["operate", "see all users' jobs, queues, maintenance"], ["admin", "everything, tokens included"]];
const DAY = 86_400;

export default function Access() {
  const page = useData((signal) => get("/tokens", null, signal), [], { every: 30_000, idle: !may("admin") });
  const [made, setMade] = useState(null);
  const tokens = [...(page.data?.tokens ?? [])].reverse();
  const create = async () => {
    const values = await ask({ title: "A new token", action: "Make it", text: "Its secret is shown once.", fields: [
      { name: "user", label: "User", required: true }, { name: "note", label: "What it is for" },
      ...SCOPES.map(([scope, text]) =>
        ({ name: `scope-${scope}`, label: `${scope}: ${text}`, type: "checkbox", value: scope === "read" })),
      { name: "days", label: "Days until it expires", type: "number", min: 1, hint: "Empty: never." }] });
    if (!values) return;
    const scopes = SCOPES.map(([scope]) => scope).filter((scope) => values[`scope-${scope}`] === true);
    const body = { user: values.user, scopes, note: values.note,
      ...(values.days ? { expires_in_seconds: Number(values.days) * DAY } : {}) };
    const answer = await told(() => post("/tokens", body), "Token made");
    if (answer) setMade(answer);
    page.refresh();
  };
  const revoke = async (token) => {
    const sure = await ask({ title: `Revoke the token of ${token.user}?`,
      text: "It is refused from now on, in the cloud within a minute. It stays listed.", action: "Revoke",
      danger: true });
    if (sure && (await told(() => del(at("tokens", token.id)), "Token revoked"))) page.refresh();
  };
  const columns = [...COLUMNS,
    { key: "revoke", head: "", align: "end",
      cell: (token) => token.state === "valid"
      && html`<button type="button" class="link tone-failed" onClick=${() => revoke(token)}>Revoke</button>` }];
  return html`
    <${Head} title="Tokens" note=${page.data ? plural(tokens.length, "token") : ""}>
      ${may("admin") && html`<button type="button" class="main" onClick=${create}>New token</button>`}</${Head}>
    ${made && html`<div class="made" role="status"><p>The secret of ${made.token.user}'s token, shown this once:</p>
      <p><code>${made.secret}</code><${Copy} text=${made.secret} what="the secret" /></p></div>`}
    ${tokens.length
      ? html`<${Table} label="Tokens" columns=${columns} rows=${tokens} keyOf=${(token) => token.id}
        busy=${page.loading} />` : html`<${Nothing} ...${page}><p>There is no token.</p></${Nothing}>`}`;
}

const TONES = { valid: "completed", expired: "expired", revoked: "cancelled" };

const COLUMNS = [
  { key: "user", head: "User", wide: true,
    cell: (token) =>
      html`<div><span class="name">${token.user}</span>${token.note && html`<span class="under">${token.note}</span>`}
      </div>` },
  { key: "state", head: "State",
    cell: (token) => html`<span class="tone-${TONES[token.state] ?? "waiting"}">${token.state}</span>` },
  { key: "prefix", head: "Token", cell: (token) => html`<span class="mono">${token.prefix}…</span>` },
  { key: "scopes", head: "May", told: true, cell: (token) => token.scopes.join(", ") },
  { key: "used", head: "Last used", told: true,
    cell: (token) => html`<${Ago} time=${token.last_used_at} none="never" />` },
  { key: "expires", head: "Expires", phone: false,
    cell: (token) => html`<${Ago} time=${token.expires_at} none="never" />` },
  { key: "created", head: "Made", phone: false, cell: (token) => html`<${Clock} time=${token.created_at} />` },
];
