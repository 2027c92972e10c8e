// main.js - the page of one training: asks, remembers, draws. What is drawn how is in the other files. At /run#NAME, of
// `penstock ui`, it shows what a run has left.

import {byId, element, keep, setAttribute, setText, show} from "./dom.js";
import {Chart} from "./chart.js";
import {HeatMap} from "./heat.js";
import {Memory} from "./memory.js";
import {Peers} from "./peers.js";
import {Poll} from "./poll.js";
import {readRun, readStatus} from "./status.js";
import {findStragglers} from "./straggler.js";
import {drawWaits, Shards, Workers} from "./workers.js";
import {drawFacts, drawLead, drawEvents, drawMarks} from "./words.js";
import * as format from "./format.js";

const WAITS_SHOWN_MS = 1500;
const RECORD_MS = 5000; // between looks at what a run leaves
const SILENT_MS = 2500; // a shorter silence is nobody's business

const recorded = location.pathname === "/run" ? location.hash.slice(1) : null; // the run's name

const memory = new Memory();
let status = null; // the newest answer
let answered = null; // when it came
let silentSince = null;
let trouble = "";
let axis = "step";

// ---- curves ----

const charts = [
  {key: "loss", title: "Loss", format: format.significant, tick: format.tick, series: [
    {key: "loss", name: "training", style: "line", tone: "a"}, {key: "testLoss", name: "test", style: "dots", tone: "b"}]},
  {key: "accuracy", title: "Accuracy", format: format.percent, tick: format.percentTick, whole: 1, series: [
    {key: "accuracy", name: "training", style: "line", tone: "a"}, {key: "testAccuracy", name: "test", style: "dots", tone: "b"}]},
  {key: "rate", title: "Learning rate", format: format.plain, tick: format.tick, floor: 0, series: [
    {key: "rate", name: "rate", style: "line", tone: "c"}]},
  {key: "speed", title: "Throughput", format: (x) => `${format.count(x)} examples/s`, tick: format.tick, floor: 0, series: [
    {key: "speed", name: "all workers", style: "line", tone: "d"}]},
].map((options) => new Chart(options, pointAll));

function pointAll(x, spoken) {
  for (const chart of charts) chart.point(x);
  if (spoken) setText(byId("spoken"), spoken);
}

function drawCurves() {
  const history = memory.history(), tests = memory.tests(), marks = memory.marks();
  const at = axis === "time" ? (p) => p.time : (p) => p.step;
  const times = [...history, ...tests].map((p) => p.time);
  const begin = Math.min(...times, status.job ? Infinity : status.now), latest = Math.max(...times);
  const places = [...history, ...tests].map(at);
  const low = axis === "time" ? begin : 0, high = Math.max(...places, low + 1);
  const line = (points, key) => points.map((p) => ({x: at(p), y: p[key], again: p.again ?? false}));
  const lines = {
    loss: line(history, "loss"), accuracy: line(history, "accuracy"), rate: line(history, "rate"), speed: line(history, "speed"),
    testLoss: line(tests, "loss"), testAccuracy: line(tests, "accuracy"),
  };
  const gaps = axis === "time" ? memory.silences().filter((s) => s.begin < latest && s.end > begin) : [];
  const log = byId("log").checked;
  for (const chart of charts) {
    const own = Object.fromEntries(chart.options.series.map((s) => [s.key, lines[s.key]]));
    chart.draw({axis, begin, low, high, lines: own, marks, gaps, log: log && (chart.options.key === "loss" || chart.options.whole !== undefined)});
  }
  drawMarks(byId("marks-panel"), byId("marks"), marks, begin);
}

// ---- all ----

const heat = new HeatMap(byId("heat"), (text) => setText(byId("spoken"), text));
const workers = new Workers();
const shards = new Shards();
const peers = new Peers();

function draw() {
  if (!status) return;
  const stragglers = findStragglers(status.workers, status.waits);
  const begin = memory.history()[0]?.time ?? status.started;
  drawLead(status, memory);
  drawCurves();
  heat.draw({axis, begin, workers: status.workers.map((w) => ({index: w.index, points: memory.recent(w.index), straggles: stragglers.has(w.index)}))});
  workers.draw(status, stragglers);
  drawWaits(byId("waits"), status.waits, WAITS_SHOWN_MS);
  shards.draw(status, peers.said(), answers());
  drawEvents(byId("events"), memory.events(), byId("only-warnings").checked);
  drawFacts(byId("facts"), status);
}

const isOver = () => status && (status.state === "finished" || (status.progress.steps && status.progress.step >= status.progress.steps));

function answers() {
  if (recorded !== null) return "recorded";
  if (silentSince === null) return "yes";
  return isOver() ? "ended" : "no";
}

// Whether what is shown is of now; every second, also while nobody answers.
function drawPulse() {
  const silent = silentSince !== null && Date.now() - silentSince >= SILENT_MS;
  const over = silent && isOver();
  if (recorded !== null && !silent && status) {
    setAttribute(byId("pulse"), "data-state", "over");
    setText(byId("pulse-text"), `as of ${format.day(answered)}`);
    show(byId("banner"), false);
    return;
  }
  setAttribute(byId("pulse"), "data-state", over ? "over" : silent ? "silent" : status ? "live" : "connecting");
  setAttribute(byId("banner"), "data-kind", over ? "over" : "silent");
  setText(byId("pulse-text"), over ? "ended" : silent ? "no answer" : status ? (status.state === "finished" ? "finished" : "live") : "connecting");
  setAttribute(document.body, "data-silent", silent && !over ? "" : null);
  const banner = byId("banner");
  show(banner, silent);
  if (!silent) return;
  const who = recorded !== null ? "penstock ui" : status ? `ps ${status.index}` : "The ps";
  if (!banner.firstChild) banner.append(element("span"), element("span", {"aria-hidden": "true"}), element("span"));
  const [what, since, then] = banner.children;
  if (over) {
    setText(what, `The training has ended, and ${who} with it. What you see is its last answer, of ${format.clock(answered)}.`);
    setText(since, "");
    setText(then, "");
    return;
  }
  setText(what, `${who} does not answer`);
  setText(since, `, since ${format.duration((Date.now() - silentSince) / 1000)}`);
  setText(then, `. ${trouble}${answered ? `What you see is of ${format.clock(answered)}; it goes on when that is back.` : "Asking again."}`);
}

function takeAnswer(json) {
  const read = readStatus(json);
  if (status && (read.index !== status.index || (read.job && status.job && read.job.seed !== status.job.seed))) throw new Error("it is another ps, or has another job");
  memory.take(read);
  if (silentSince !== null && status) memory.noteSilence(answered ?? silentSince, read.now ?? Date.now());
  status = read;
  answered = Date.now();
  silentSince = null;
  peers.ask(status);
  draw();
  drawPulse();
}

function takeRecord(json) {
  const {name, pages, others} = readRun(json);
  if (pages.length === 0) throw new Error(`it has kept nothing of the run ${name}`);
  for (const page of pages) memory.take(page);
  status = pages.at(-1);
  answered = status.now;
  silentSince = null;
  peers.recall(others);
  draw();
  drawPulse();
}

function takeFailure(error, since) {
  silentSince = since;
  trouble = error.message.startsWith("it ") ? `${error.message[0].toUpperCase()}${error.message.slice(1)}. ` : "";
  drawPulse();
  if (!status || recorded !== null) return;
  shards.draw(status, peers.said(), answers());
  peers.seek(status).then((found) => poll.alsoAsk(found.map((http) => `http://${http}/status`)));
}

if (recorded !== null) {
  setText(byId("run-name"), recorded);
  show(byId("back"), true);
  show(byId("foot"), false);
}
byId("charts").append(...charts.map((chart) => chart.root));
for (const choice of document.querySelectorAll("input[name=axis]"))
  choice.addEventListener("change", () => {
    axis = choice.value;
    pointAll(null);
    draw();
  });
byId("log").addEventListener("change", draw);
byId("only-warnings").addEventListener("change", draw);
setInterval(drawPulse, 1000);
const poll = recorded === null ? new Poll("/status", takeAnswer, takeFailure)
  : new Poll(`/runs/${recorded}.json`, takeRecord, takeFailure, RECORD_MS);
window.addEventListener("hashchange", () => location.reload());
