// runs.js - the page of `penstock ui`: all runs of a folder, those that are chosen drawn over each other, and what differs
// between them. A run's own page is /run#NAME (main.js).

import {ask} from "./ask.js";
import {byId, element, setAttribute, setText, show} from "./dom.js";
import {Chart} from "./chart.js";
import {Memory} from "./memory.js";
import {readRun, readRuns} from "./status.js";
import {Table} from "./table.js";
import {facts} from "./words.js";
import * as format from "./format.js";

const CHOSEN_MAX = 6; // as there are tones
const CHOSEN_AT_FIRST = 3;
const READ_MAX = 60; // runs whose figures are fetched
const PATIENCE_MS = 20000;
const AGAIN_MS = 10000;

const runs = new Map(); // by name: {name, modified, http, options, memory, status}
let chosen = null; // names, in the order of tones; null until the runs are known
let axis = "step";
let charts = [];

// ---- reading ----

async function readOne(run) {
  const {pages} = readRun(await ask(`/runs/${run.name}.json`, PATIENCE_MS));
  const memory = new Memory();
  for (const page of pages) memory.take(page);
  Object.assign(run, {memory, status: pages.at(-1) ?? null, read: run.modified});
}

async function look() {
  try {
    const {folder, runs: listed} = readRuns(await ask("/runs.json", PATIENCE_MS));
    setText(byId("folder"), folder);
    for (const name of runs.keys()) if (!listed.some((r) => r.name === name)) runs.delete(name);
    for (const run of listed) runs.set(run.name, {...runs.get(run.name), ...run});
    chosen ??= listed.slice(0, CHOSEN_AT_FIRST).map((r) => r.name);
    draw(listed);
    for (const {name} of listed.slice(0, READ_MAX)) {
      const run = runs.get(name);
      if (run.read === run.modified) continue;
      await readOne(run).catch(() => {});
      draw(listed);
    }
    show(byId("banner"), false);
  } catch (error) {
    setText(byId("banner"), `penstock ui does not answer: ${error.message}. What you see is as it was.`);
    show(byId("banner"), true);
  }
  setTimeout(look, AGAIN_MS);
}

// ---- the table ----

const toneOf = (name) => {
  const place = chosen.indexOf(name);
  return place < 0 ? null : `t${place}`;
};

function choose(name, wanted) {
  chosen = wanted ? [...chosen, name].slice(-CHOSEN_MAX) : chosen.filter((other) => other !== name);
  draw([...runs.values()]);
}

function updateChoice(cell, run) {
  if (!cell.firstChild) {
    const box = element("input", {type: "checkbox", "aria-label": `compare ${run.name}`});
    box.addEventListener("change", () => choose(run.name, box.checked));
    cell.append(element("label", {}, box, element("i", {class: "swatch", "aria-hidden": "true"})), element("a", {href: `/run#${run.name}`}, run.name));
  }
  cell.querySelector("input").checked = chosen.includes(run.name);
  setAttribute(cell.querySelector("i"), "class", `swatch ${toneOf(run.name) ?? ""}`);
}

function updateState(cell, {status, http}) {
  if (!cell.firstChild) cell.append(element("span", {class: "state"}), element("a", {rel: "noreferrer"}, " live"));
  const [state, link] = cell.children;
  const ended = status && status.state === "training" && !http;
  setText(state, status ? (ended ? "not finished" : status.state) : format.UNKNOWN);
  setAttribute(state, "data-state", ended ? "failed" : status?.state ?? null);
  const safe = http && /^[\w.:[\]-]+$/.test(http);
  show(link, Boolean(safe && status?.state !== "finished"));
  if (safe) setAttribute(link, "href", `http://${http}/`);
}

const ofRun = (of) => (cell, run) => setText(cell, run.status ? of(run.status, run.memory) : format.UNKNOWN);
const lastTest = (status, memory) => memory.tests().at(-1) ?? status.progress.test;

function lasted(status, memory) {
  const points = [...memory.history(), ...memory.tests()].map((p) => p.time);
  return points.length < 2 ? null : (Math.max(...points) - Math.min(...points)) / 1000;
}

const table = new Table(byId("runs"), "Runs", [
  {name: "Run", update: updateChoice},
  {name: "State", update: updateState},
  {name: "Began", class: "n", update: ofRun((s, m) => format.day(m.history()[0]?.time ?? s.started))},
  {name: "Lasted", class: "n", update: ofRun((s, m) => format.duration(lasted(s, m)))},
  {name: "Step", class: "n", update: ofRun((s) => format.count(s.progress.step))},
  {name: "Test accuracy", class: "n", update: ofRun((s, m) => format.percent(lastTest(s, m)?.accuracy ?? null))},
  {name: "Test loss", class: "n", update: ofRun((s, m) => format.significant(lastTest(s, m)?.loss ?? null))},
  {name: "Examples/s", class: "n", title: "mean over the run", update: ofRun((s, m) => format.count(meanSpeed(m)))},
  {name: "ps", class: "n", update: ofRun((s) => format.count(s.job?.servers ?? null))},
  {name: "Workers", class: "n", update: ofRun((s) => format.count(s.job?.workers ?? null))},
  {name: "Marks", class: "n", title: "faults and their ends", update: ofRun((s, m) => format.count(m.marks().length))},
], (run) => run.name, "No run here has kept anything yet: `penstock run` does, unless with --no-http.");

function meanSpeed(memory) {
  const speeds = memory.history().map((p) => p.speed).filter((speed) => speed !== null);
  return speeds.length ? speeds.reduce((a, b) => a + b) / speeds.length : null;
}

// ---- curves over each other ----

const KINDS = [
  {key: "loss", title: "Loss, training", format: format.significant, tick: format.tick, of: (m) => m.history()},
  {key: "accuracy", title: "Accuracy, test", format: format.percent, tick: format.percentTick, whole: 1, of: (m) => m.tests()},
  {key: "speed", title: "Throughput", format: (x) => `${format.count(x)}/s`, tick: format.tick, floor: 0, of: (m) => m.history()},
  {key: "rate", title: "Learning rate", format: format.plain, tick: format.tick, floor: 0, of: (m) => m.history()},
];

function pointAll(x, spoken) {
  for (const chart of charts) chart.point(x);
  if (spoken) setText(byId("spoken"), spoken);
}

// Charts anew where other runs are chosen.
function makeCharts(compared) {
  const wanted = compared.map((r) => r.name).join("\n");
  if (makeCharts.made === wanted) return;
  makeCharts.made = wanted;
  charts = KINDS.map((kind) => new Chart({...kind, series: compared.map((r) => ({key: r.name, name: r.name, style: "line", tone: toneOf(r.name)}))}, pointAll));
  byId("charts").replaceChildren(...charts.map((chart) => chart.root));
}

function drawCurves(compared) {
  makeCharts(compared);
  const begins = new Map(compared.map((r) => [r.name, Math.min(...[...r.memory.history(), ...r.memory.tests()].map((p) => p.time))]));
  const at = (run, p) => (axis === "time" ? p.time - begins.get(run.name) : p.step);
  const places = compared.flatMap((r) => [...r.memory.history(), ...r.memory.tests()].map((p) => at(r, p)));
  const log = byId("log").checked;
  KINDS.forEach((kind, i) => {
    const lines = Object.fromEntries(compared.map((r) => [r.name, kind.of(r.memory).map((p) => ({x: at(r, p), y: p[kind.key], again: p.again ?? false}))]));
    charts[i].draw({axis, begin: 0, low: 0, high: Math.max(1, ...places), lines, marks: [], gaps: [], log: log && i < 2});
  });
}

// ---- what differs ----

function drawDifferences(compared) {
  const columns = compared.map((run) => new Map([...facts(run.status).filter(([name]) => !["Checkpoint", "Memory here", "Process"].includes(name)), ...run.options]));
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  const rows = names.map((name) => ({name, values: columns.map((column) => column.get(name) ?? format.UNKNOWN)}))
    .filter(({values}) => values.some((value) => value !== values[0]));
  const root = byId("differences"), made = JSON.stringify([compared.map((r) => r.name), rows]);
  if (root.dataset.made === made) return;
  root.dataset.made = made;
  root.replaceChildren();
  new Table(root, "What differs between the runs", [
    {name: "", update: (cell, row) => setText(cell, row.name)},
    ...compared.map((run, i) => ({name: run.name, class: "text", update: (cell, row) => setText(cell, row.values[i])})),
  ], (row) => row.name, compared.length < 2 ? "Choose two runs or more." : "Nothing that is known of them.").draw(rows);
}

function draw(listed) {
  const current = listed.map(({name}) => runs.get(name)).filter(Boolean);
  setText(byId("runs-note"), `${format.count(current.length)} with figures; up to ${CHOSEN_MAX} can be compared`);
  table.draw(current);
  const compared = chosen.map((name) => runs.get(name)).filter((run) => run?.status);
  drawCurves(compared);
  drawDifferences(compared);
}

for (const choice of document.querySelectorAll("input[name=axis]"))
  choice.addEventListener("change", () => {
    axis = choice.value;
    pointAll(null);
    draw([...runs.values()]);
  });
byId("log").addEventListener("change", () => draw([...runs.values()]));
look();
