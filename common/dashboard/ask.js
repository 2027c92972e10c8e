// ask.js - asking for JSON. Where the server of this page wants a token, it gets the one in the address that the page was
// opened with (#token=...), which is taken out of sight at once, or the one that the reader gives. This tab alone keeps
// it, and no other server is ever told.

import {byId, show} from "./dom.js";

const KEY = "penstock-token";

function take() {
  const given = /^#token=(.+)$/.exec(location.hash);
  if (!given) return;
  sessionStorage.setItem(KEY, decodeURIComponent(given[1]));
  history.replaceState(null, "", location.pathname);
}

take();
const token = sessionStorage.getItem(KEY);

const isOwn = (url) => new URL(url, location.href).origin === location.origin;

export const hasToken = () => token !== null;

// Throws what people understand.
export async function ask(url, patienceMs) {
  const headers = token !== null && isOwn(url) ? {Authorization: `Bearer ${token}`} : {};
  const response = await fetch(url, {cache: "no-store", credentials: "omit", headers, signal: AbortSignal.timeout(patienceMs)});
  if (isOwn(url)) show(byId("token-wanted"), response.status === 401);
  if (response.status === 401) throw new Error("it asks for a token");
  if (response.status === 403) throw new Error("it shows itself to its own host alone: see --http-token-file of the ps, or --http-open");
  if (!response.ok) throw new Error(`it answers ${response.status}`);
  return response.json();
}

byId("token-given").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, byId("token").value.trim());
  location.reload();
});
