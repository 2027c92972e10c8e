// workers.js - the tables of workers and of shards, and who waits for whom.

import {byId, element, keep, setAttribute, setText, show} from "./dom.js";
import {bytes, count, duration, milliseconds, significant, UNKNOWN} from "./format.js";
import {Table} from "./table.js";

const HEARD_LONG_MS = 3000;
const PARTS = [["compute", "computeMs"], ["push", "pushMs"], ["wait", "waitMs"], ["pull", "pullMs"]];
const BAD = new Set(["lost", "given_up"]);

const plain = (of) => (cell, row) => setText(cell, of(row));

function updateName(cell, {worker, kind, why}) {
  if (!cell.firstChild) cell.append(element("span"), element("b", {class: "badge"}));
  setText(cell.firstChild, `${kind} ${worker.index}`);
  setText(cell.lastChild, why ? why.split(",")[0] : "");
  show(cell.lastChild, Boolean(why));
  setAttribute(cell.lastChild, "title", why ?? null);
}

function updateState(cell, {worker}) {
  if (!cell.firstChild) cell.append(element("span", {class: "state"}));
  const silent = worker.heardMs > HEARD_LONG_MS && worker.state !== "finished" ? `, silent for ${duration(worker.heardMs / 1000)}` : "";
  const doing = worker.activity && worker.activity !== "training" && worker.state === "training" ? `, ${worker.activity}` : "";
  setText(cell.firstChild, `${(worker.state ?? UNKNOWN).replace("_", " ")}${doing}${silent}`);
  setAttribute(cell.firstChild, "data-state", worker.state);
}

// The parts of a step, beside those of the longest one.
function updateParts(cell, {worker, longestMs}) {
  if (!cell.firstChild) {
    const parts = PARTS.map(([name]) => element("i", {class: name}));
    cell.append(element("span", {class: "parts", "aria-hidden": "true"}, ...parts), element("span", {class: "figure"}), element("span", {class: "hidden"}));
  }
  const [bar, figure, spoken] = cell.children;
  PARTS.forEach(([, key], i) => {
    const share = worker[key] !== null && longestMs > 0 ? (100 * worker[key]) / longestMs : 0;
    bar.children[i].style.width = `${share.toFixed(2)}%`;
  });
  const text = PARTS.map(([name, key]) => `${name} ${milliseconds(worker[key])}`).join(", ");
  setText(figure, milliseconds(worker.stepMs));
  setText(spoken, `: ${text}`);
  setAttribute(cell, "title", text);
}

function place({host, device}) {
  return [host, device].filter(Boolean).join(" · ") || UNKNOWN;
}

export class Workers {
  constructor() {
    this.table = new Table(byId("workers"), "Workers", [
      {name: "Worker", update: updateName},
      {name: "State", update: updateState},
      {name: "Step", class: "n", update: plain(({worker: w}) => count(w.step))},
      {name: "Behind", class: "n", title: "steps behind the worker that is furthest", update: plain(({worker: w}) => count(w.behind))},
      {name: "Time of a step", class: "wide", update: updateParts},
      {name: "Examples/s", class: "n", update: plain(({worker: w}) => count(w.speed))},
      {name: "Loss", class: "n", update: plain(({worker: w}) => significant(w.loss))},
      {name: "Pushed", class: "n", title: "bytes of tensors, with all ps", update: plain(({worker: w}) => bytes(w.pushed))},
      {name: "Resent", class: "n", title: "messages that a ps had not got", update: plain(({worker: w}) => count(w.resent))},
      {name: "Restarts", class: "n", update: plain(({worker: w}) => count(w.restarts))},
      {name: "Runs on", class: "text", update: plain(({worker: w}) => place(w))},
    ], ({kind, worker}) => `${kind} ${worker.index}`, "No worker has brought a job yet.");
  }

  draw(status, stragglers) {
    const longestMs = Math.max(0, ...status.workers.map((w) => w.stepMs ?? 0));
    const rows = status.workers.map((worker) => ({kind: "worker", worker, longestMs, why: stragglers.get(worker.index)}))
      .concat(status.evaluators.map((worker) => ({kind: "evaluator", worker, longestMs, why: null})));
    this.table.draw(rows, ({worker, why}) => (BAD.has(worker.state) ? "bad" : why ? "straggler" : ""));
  }
}

// Those of the waits that last, in words.
export function drawWaits(root, waits, leastMs) {
  const long = new Map();
  for (const {worker, step, sinceMs, text} of waits.filter((w) => w.sinceMs >= leastMs)) {
    const why = text || `step ${count(step)} waits`, same = long.get(why) ?? {why, workers: [], sinceMs: 0};
    long.set(why, {why, workers: [...same.workers, worker], sinceMs: Math.max(same.sinceMs, sinceMs)});
  }
  show(root, long.size > 0);
  keep(root, [...long.values()], (w) => w.why, () => element("li"),
    (li, w) => setText(li, `Worker ${w.workers.join(", ")}: ${w.why}, for ${duration(w.sinceMs / 1000)}`));
}

// ---- shards ----

function updateShardName(cell, {index, own}) {
  if (!cell.firstChild) cell.append(element("span"), element("small"));
  setText(cell.firstChild, `ps ${index}`);
  setText(cell.lastChild, own ? " this one" : "");
}

function updateShardLink(cell, {http, own, answers}) {
  const href = http && !own && answers !== "recorded" && /^[\w.:[\]-]+$/.test(http) ? `http://${http}/` : null;
  if (cell.dataset.href === String(href) + http) return;
  cell.dataset.href = String(href) + http;
  cell.replaceChildren(href ? element("a", {href, rel: "noreferrer"}, http) : http ?? UNKNOWN);
}

const ofShard = (format, key) => plain(({shard}) => (shard ? format(shard[key]) : UNKNOWN));

const troubles = ({shard: s}) => (s ? [[s.duplicates, "repeated"], [s.late, "late"], [s.nonfinite, "not finite"], [s.refused, "refused"]]
  .filter(([number]) => number > 0).map(([number, what]) => `${count(number)} ${what}`).join(", ") || "none" : UNKNOWN);

const queued = ({shard: s}) => (s ? count(s.requests + s.answers + s.unsent) : UNKNOWN);

export class Shards {
  constructor() {
    this.table = new Table(byId("shards"), "Shards, one on each ps", [
      {name: "Shard", update: updateShardName},
      {name: "Answers", class: "text", title: "whether its ps answers this page", update: plain((row) => row.answers)},
      {name: "Step", class: "n", update: ofShard(count, "version")},
      {name: "Parameters", class: "n", update: ofShard(count, "parameters")},
      {name: "Memory", class: "n", title: "weights and slots of the optimizer", update: ofShard(bytes, "bytes")},
      {name: "Update", class: "n", title: "mean time of applying one", update: ofShard(milliseconds, "applyMs")},
      {name: "Queue", class: "n", title: "requests and answers that wait", update: plain(queued)},
      {name: "Received", class: "n", update: ofShard(bytes, "received")},
      {name: "Sent", class: "n", update: ofShard(bytes, "sent")},
      {name: "Set aside", class: "text", title: "gradients that were not applied", update: plain(troubles)},
      {name: "Restores", class: "n", update: ofShard(count, "restores")},
      {name: "Shows itself at", class: "text", update: updateShardLink},
    ], ({index}) => index, "No worker has brought a job yet.");
  }

  // `others`: a Map from index to {shard or null, answers}, of what the other ps say.
  draw(status, others, answers) {
    const servers = status.servers.length > 0 ? status.servers : [];
    this.table.draw(servers.map(({index, http}) => {
      const own = index === status.index;
      const other = others.get(index);
      return {index, http, own, shard: own ? status.shard : other?.shard ?? null, answers: own ? answers : other?.answers ?? UNKNOWN};
    }), ({answers: said}) => (said === "no" ? "bad" : ""));
  }
}
