// words.js - what the page says in words and single figures: the lead, marks, events, the job.

import {byId, element, keep, setAttribute, setText, show} from "./dom.js";
import {bytes, clock, count, duration, elapsed, milliseconds, percent, plain, significant, UNKNOWN} from "./format.js";

const STATES = {waiting: "Waiting for a job", training: "Training", finished: "Finished", failed: "Failed"};
const GLYPHS = {info: "·", warning: "▲", error: "■"};
const KINDS = {fault: "fault", restart: "restart", recovery: "recovery"};

// ---- the lead ----

function drawBar(progress) {
  const share = progress.steps ? Math.min(progress.step / progress.steps, 1) : null;
  const bar = byId("progress");
  bar.firstElementChild.style.width = `${(100 * (share ?? 0)).toFixed(2)}%`;
  setAttribute(bar, "aria-valuenow", share === null ? null : Math.floor(100 * share));
  setAttribute(bar, "aria-valuetext", share === null ? "unknown" : `${Math.floor(100 * share)} percent`);
}

function drawProgress(status) {
  const {progress, state, uptimeMs} = status;
  setText(byId("state"), STATES[state] ?? state ?? UNKNOWN);
  setAttribute(byId("state"), "data-state", state);
  setText(byId("step"), status.job ? count(progress.step) : UNKNOWN);
  setText(byId("steps"), progress.steps ? `of ${count(progress.steps)} steps` : "steps");
  setText(byId("epoch"), progress.epoch === null ? "" : `epoch ${progress.epoch.toFixed(2)}${progress.epochs ? ` of ${+progress.epochs.toFixed(2)}` : ""}`);
  const left = state === "training" && progress.etaS !== null ? `about ${duration(progress.etaS)} left` : "";
  setText(byId("eta"), left || `up for ${duration(uptimeMs / 1000)}`);
  drawBar(progress);
}

// The best test accuracy so far, if the newest is not it.
function bestTest(tests) {
  const best = tests.reduce((a, b) => (b.accuracy > (a?.accuracy ?? -1) ? b : a), null);
  return best && best.accuracy > tests.at(-1).accuracy ? `best ${percent(best.accuracy)}` : "";
}

function faultsText({lost, returned, restarted, restores}) {
  const parts = [[lost, "lost"], [returned, "returned"], [restarted, "restarted"], [restores, "restored"]];
  return parts.filter(([number]) => number > 0).map(([number, what]) => `${count(number)} ${what}`).join(", ") || "none so far";
}

export function drawLead(status, memory) {
  const {progress, faults, job, index} = status;
  const tests = memory.tests(), test = tests.at(-1) ?? progress.test;
  setText(byId("job-name"), job && job.name !== "penstock" ? job.name : "");
  setText(byId("who"), `ps ${index}${job ? ` of ${job.servers} · ${count(job.workers)} worker${job.workers === 1 ? "" : "s"}` : ""}`);
  document.title = `${progress.steps && job ? `${Math.floor((100 * progress.step) / progress.steps)} % ` : ""}${job && job.name !== "penstock" ? `${job.name} · ` : ""}Penstock`;
  drawProgress(status);
  setText(byId("loss"), significant(progress.loss));
  setText(byId("loss-more"), test?.loss != null ? `test ${significant(test.loss)}` : "of the newest rows");
  setText(byId("accuracy"), percent(progress.accuracy));
  setText(byId("accuracy-more"), "of the newest rows");
  setText(byId("test-accuracy"), percent(test?.accuracy ?? null));
  setText(byId("test-more"), test ? [`at step ${count(test.step)}`, bestTest(tests)].filter(Boolean).join(", ") : "not tested yet");
  setText(byId("speed"), count(progress.speed));
  setText(byId("speed-more"), `examples/s, ${progress.stepsPerS >= 100 ? count(progress.stepsPerS) : significant(progress.stepsPerS)} steps/s`);
  setText(byId("rate"), plain(progress.rate));
  setText(byId("rate-more"), job?.optimizer ?? "");
  setText(byId("recovered"), count(faults.recovered));
  setText(byId("recovered-more"), faultsText(faults));
}

// ---- marks ----

const MARKS_SHOWN = 12;
const TEXTS_SHOWN = 4; // of one mark

export function drawMarks(panel, root, marks, begin) {
  show(panel, marks.length > 0);
  keep(root, marks.slice(-MARKS_SHOWN).reverse(), (m) => `${m.number} ${m.time}`, (m) => element("li", {},
    element("b", {class: `number ${m.kind}`}, m.number), element("span", {class: "what"}, element("span"), element("small")), element("span", {class: "quiet"})),
  (li, m) => {
    const more = m.texts.length - TEXTS_SHOWN;
    setText(li.children[1].firstChild, m.texts[0]);
    setText(li.children[1].lastChild, [...m.texts.slice(1, TEXTS_SHOWN), ...(more > 0 ? [`and ${more} more`] : [])].map((t) => ` · ${t}`).join(""));
    setText(li.children[2], `${KINDS[m.kind]} at step ${count(m.step)}, ${elapsed(m.time - begin)}`);
  });
}

// ---- events ----

const EVENTS_SHOWN = 200;

// Of those of one name that follow one another, and are nothing but news, the newest, with how many were `before` it.
function fold(events) {
  const folded = [];
  for (const event of events) {
    const last = folded.at(-1);
    if (last && last.event === event.event && last.level === "info" && event.level === "info" && event.event === "checkpoint") last.before++;
    else folded.push({...event, before: 0});
  }
  return folded;
}

export function drawEvents(root, events, onlyWarnings) {
  const shown = fold(onlyWarnings ? events.filter((e) => e.level !== "info") : events).slice(0, EVENTS_SHOWN);
  const items = shown.length ? shown : [{time: null, level: "info", event: "", step: null, before: 0, text: onlyWarnings ? "no warnings" : "nothing has happened yet", sequence: -1}];
  keep(root, items, (e) => `${e.time} ${e.sequence}`, (e) => element("li", {"data-level": e.level},
    element("time", {datetime: e.time === null ? null : new Date(e.time).toISOString()}, e.time === null ? "" : clock(e.time)),
    element("span", {class: "glyph", "aria-hidden": "true"}, GLYPHS[e.level] ?? GLYPHS.info),
    element("span", {}, e.level === "info" ? "" : element("span", {class: "hidden"}, `${e.level}: `), e.text || e.event, e.step === null || e.text.includes(String(e.step)) ? "" : element("small", {}, ` step ${count(e.step)}`), element("small"))),
  (li, e) => setText(li.lastChild.lastChild, e.before > 0 ? ` and ${count(e.before)} before it` : ""));
}

// ---- the job ----

function modeText(job) {
  if (job.mode === "ssp") return `ssp, staleness ${count(job.staleness)}`;
  return job.backupWorkers ? `${job.mode}, ${count(job.backupWorkers)} backup` : job.mode;
}

function checkpointText(checkpoint) {
  if (!checkpoint) return "none are kept";
  const bad = [[checkpoint.failed, "failed"], [checkpoint.dropped, "left out"]].filter(([n]) => n > 0).map(([n, what]) => `, ${count(n)} ${what}`).join("");
  if (checkpoint.step === null) return `none by this process yet${bad}`;
  return `step ${count(checkpoint.step)}, ${duration(checkpoint.ageMs / 1000)} ago, took ${milliseconds(checkpoint.durationMs)}; ${count(checkpoint.kept)} kept${bad}`;
}

// Of a job and its process: [[name, text], ...].
export function facts(status) {
  const {job, checkpoint, shard} = status;
  const found = [];
  if (job)
    found.push(["Mode", modeText(job)], ["Optimizer", job.optimizer], ["Parameters", `${count(job.parameters)} in ${count(job.tensors)} tensors`],
      ["Codecs", `push ${job.pushCodec}, pull ${job.pullCodec}`], ["Not finite", job.guard], ["A lost worker", job.onWorkerLoss], ["Seed", job.seed]);
  found.push(["Checkpoint", checkpointText(checkpoint)], ["Memory here", bytes(shard.bytes)], ["Process", `${status.host ?? UNKNOWN}, pid ${status.pid ?? UNKNOWN}, version ${status.version ?? UNKNOWN}`]);
  return found;
}

export function drawFacts(root, status) {
  keep(root, facts(status), ([name]) => name, ([name]) => element("div", {}, element("dt", {}, name), element("dd")), (div, [, value]) => setText(div.lastChild, value ?? UNKNOWN));
}
