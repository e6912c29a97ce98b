// Who is signed in. The token stays in this tab's session storage: it is in no URL, no cookie and no other tab.

import { createStore } from "./store.js";

const TOKEN = "tidegate.token";

/** `token`, what `/whoami` said of it (`me`), and a note for the sign-in page. */
export const session = createStore({ token: sessionStorage.getItem(TOKEN), me: null, note: "" });

export function keepToken(token, me) {
  sessionStorage.setItem(TOKEN, token);
  session.set({ token, me, note: "" });
}

export function signOut(note = "") {
  sessionStorage.removeItem(TOKEN);
  session.set({ token: null, me: null, note });
}

/** Whether the caller's token allows something: `submit`, `read`, `operate`, `admin`. The API decides again. */
export function may(scope) {
  const scopes = session.get().me?.scopes ?? [];
  return scopes.includes("admin") || scopes.includes(scope);
}
