// Requests to the API that served this page.

import { session, signOut } from "./session.js";

export class ApiError extends Error {
  constructor(status, code, message, details) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details ?? {};
  }
}

export const get = (path, query, signal) => request("GET", path, { query, signal });
export const post = (path, body = {}) => request("POST", path, { body });
export const patch = (path, body) => request("PATCH", path, { body });
export const put = (path, body) => request("PUT", path, { body });
export const del = (path) => request("DELETE", path);

/** The path of something by its name, whatever characters that has. */
export const at = (collection, name, ...rest) => `/${[collection, encodeURIComponent(name), ...rest].join("/")}`;

/** The answer as JSON. Throws ApiError; a token that is no longer valid ends the session. */
export async function request(method, path, { query, body, signal, token = session.get().token } = {}) {
  const headers = { authorization: `Bearer ${token}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path + queryText(query), {
      method, headers, signal, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "UNREACHABLE", "The server cannot be reached.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  // API Gateway refuses unknown tokens with a 403 of its own, which has no code.
  const unknown = response.status === 401 || (response.status === 403 && !answer?.code);
  if (unknown && token === session.get().token) signOut("Your token is no longer valid. Sign in again.");
  const code = unknown ? "UNAUTHENTICATED" : answer?.code ?? "UNEXPECTED";
  throw new ApiError(response.status, code, told(response, answer), answer?.details);
}

/** `?a=b` of what is given: lists repeat their name; null, undefined and "" are left out. */
export function queryText(query) {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each) => [name, each]));
  const given = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

function told(response, answer) {
  if (response.status === 401 || (response.status === 403 && !answer?.code)) return "This token is not valid here.";
  return answer?.message ?? `The server answered ${response.status}.`;
}
