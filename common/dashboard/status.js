// status.js - what /status says (common/status_page.md), and `penstock ui` of runs (deploy/status/ui_runs.h), checked and in the
// page's own terms. The only module that knows the names of fields: they are read from `raw...`, and a test holds each
// against those texts.
//
// Peers may say anything: what is no finite number is null, what is no text is cut off, lists are bounded.

const TEXT_MAX = 2000;
const LIST_MAX = 4096;

const number = (raw) => (typeof raw === "number" && Number.isFinite(raw) ? raw : null);
const text = (raw) => (typeof raw === "string" ? raw.slice(0, TEXT_MAX) : null);
const list = (raw) => (Array.isArray(raw) ? raw.slice(-LIST_MAX) : []);
const object = (raw) => (raw !== null && typeof raw === "object" && !Array.isArray(raw) ? raw : {});

// Rows of {"columns": [...], "points": [[...], ...]} as objects with the columns asked for: {own name: column}.
function readPoints(raw, names) {
  const columns = list(object(raw).columns);
  const places = Object.entries(names).map(([own, column]) => [own, columns.indexOf(column)]);
  return list(object(raw).points).map((row) =>
    Object.fromEntries(places.map(([own, place]) => [own, place < 0 ? null : number(list(row)[place])])));
}

function readJob(given) {
  if (given === null) return null;
  const raw = object(given);
  return {
    name: text(raw.name), mode: text(raw.mode), staleness: number(raw.staleness),
    backupWorkers: number(raw.backup_workers), optimizer: text(raw.optimizer), servers: number(raw.servers),
    workers: number(raw.workers), evaluators: number(raw.evaluators), tensors: number(raw.tensors),
    parameters: number(raw.parameters), pushCodec: text(raw.push_codec), pullCodec: text(raw.pull_codec),
    guard: text(raw.guard), onWorkerLoss: text(raw.on_worker_loss), seed: text(raw.seed),
  };
}

function readTest(given) {
  if (!given) return null;
  const raw = object(given);
  return {step: number(raw.step), accuracy: number(raw.accuracy), loss: number(raw.loss)};
}

function readProgress(given) {
  const raw = object(given);
  return {
    step: number(raw.step), steps: number(raw.steps), epoch: number(raw.epoch), epochs: number(raw.epochs),
    examples: number(raw.examples), loss: number(raw.loss), accuracy: number(raw.accuracy),
    rate: number(raw.learning_rate), speed: number(raw.examples_per_s), stepsPerS: number(raw.steps_per_s),
    etaS: number(raw.eta_s), test: readTest(raw.test),
  };
}

function readWorker(given) {
  const raw = object(given);
  return {
    index: number(raw.index), state: text(raw.state), activity: text(raw.activity), heardMs: number(raw.heard_ms),
    restarts: number(raw.restarts), step: number(raw.step), behind: number(raw.behind),
    staleness: number(raw.staleness), stepMs: number(raw.step_ms), computeMs: number(raw.compute_ms),
    pushMs: number(raw.push_ms), waitMs: number(raw.wait_ms), pullMs: number(raw.pull_ms),
    examples: number(raw.examples), speed: number(raw.examples_per_s), loss: number(raw.loss),
    pushed: number(raw.bytes_pushed), pulled: number(raw.bytes_pulled), resent: number(raw.resent),
    rollbacks: number(raw.rollbacks), device: text(raw.device), host: text(raw.host), http: text(raw.http),
    recent: readPoints(raw.recent, {time: "unix_ms", step: "step", stepMs: "step_ms", waitMs: "wait_ms"}),
  };
}

const sum = (codecs) => Object.values(object(codecs)).reduce((all, bytes) => all + (number(bytes) ?? 0), 0);

function readShard(given) {
  const raw = object(given), rawQueue = object(raw.queue);
  return {
    index: number(raw.index), version: number(raw.version), slices: number(raw.slices),
    parameters: number(raw.parameters), bytes: number(raw.bytes), updates: number(raw.updates),
    pushes: number(raw.pushes), duplicates: number(raw.duplicates), late: number(raw.late),
    nonfinite: number(raw.nonfinite), refused: number(raw.refused), applyMs: number(raw.apply_ms),
    requests: number(rawQueue.requests), answers: number(rawQueue.answers), unsent: number(rawQueue.unsent),
    received: sum(raw.received), sent: sum(raw.sent), restores: number(raw.restores),
  };
}

function readCheckpoint(given) {
  if (!given) return null;
  const raw = object(given);
  return {
    kept: number(raw.kept), failed: number(raw.failed), dropped: number(raw.dropped), step: number(raw.step),
    ageMs: number(raw.age_ms), durationMs: number(raw.duration_ms),
  };
}

function readFaults(given) {
  const raw = object(given);
  return {
    lost: number(raw.workers_lost), returned: number(raw.workers_returned), restarted: number(raw.workers_restarted),
    restores: number(raw.restores), recovered: number(raw.recovered),
  };
}

function readWait(given) {
  const raw = object(given);
  return {
    worker: number(raw.worker), step: number(raw.step), sinceMs: number(raw.since_ms),
    on: list(raw.for).map(number).filter((index) => index !== null), text: text(raw.text) ?? "",
  };
}

function readEvent(given) {
  const raw = object(given);
  return {
    sequence: number(raw.sequence), time: number(raw.unix_ms), level: text(raw.level) ?? "info",
    event: text(raw.event) ?? "", step: number(raw.step), text: text(raw.text) ?? "",
  };
}

const readServer = (raw) => ({index: number(object(raw).index), http: text(object(raw).http)});

// Where the ps show themselves, as a ps or worker knows.
export function readServers(given) {
  const raw = object(given);
  return raw.schema === 1 ? list(raw.servers).map(readServer) : [];
}

// An answer of a ps. Throws an Error, whose message is for people, if it is none that this page understands.
export function readStatus(given) {
  const raw = object(given);
  if (raw.schema !== 1) throw new Error("it speaks another version of /status than this page");
  if (raw.kind !== "ps") throw new Error("what answers is no ps");
  return {
    index: number(raw.index), incarnation: text(raw.incarnation) ?? "", version: text(raw.version),
    host: text(raw.host), pid: number(raw.pid), now: number(raw.now_unix_ms), started: number(raw.started_unix_ms),
    uptimeMs: number(raw.uptime_ms), state: text(raw.state), job: readJob(raw.job),
    progress: readProgress(raw.progress), workers: list(raw.workers).map(readWorker),
    evaluators: list(raw.evaluators).map(readWorker), shard: readShard(raw.shard),
    servers: readServers(raw), checkpoint: readCheckpoint(raw.checkpoint),
    faults: readFaults(raw.faults), waits: list(raw.waits).map(readWait),
    history: readPoints(raw.history, {
      time: "unix_ms", step: "step", loss: "loss", accuracy: "accuracy", rate: "learning_rate", speed: "examples_per_s",
    }).filter((point) => point.time !== null && point.step !== null),
    tests: readPoints(raw.tests, {time: "unix_ms", step: "step", accuracy: "accuracy", loss: "loss"})
      .filter((point) => point.time !== null && point.step !== null),
    events: list(raw.events).map(readEvent),
  };
}

// ---- what `penstock ui` says (deploy/status/ui_runs.h) ----

// Options as they stand on a command line, "--epochs 20" or "--epochs=20", as [[name, value], ...].
function readOptions(given) {
  const words = list(given).map(text).filter((word) => word !== null), found = [];
  words.forEach((word, i) => {
    if (!word.startsWith("--")) return;
    const [name, value] = word.includes("=") ? [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)] : [word, null];
    const next = words[i + 1];
    found.push([name, value ?? (next !== undefined && !next.startsWith("--") ? next : "yes")]);
  });
  return found;
}

function readListed(given) {
  const raw = object(given), rawRecord = object(raw.record);
  return {
    name: text(raw.name) ?? "", modified: number(raw.modified_unix_ms), http: text(raw.http),
    options: readOptions(rawRecord.options),
  };
}

export function readRuns(given) {
  const raw = object(given);
  if (raw.schema !== 1) throw new Error("it speaks another version than this page");
  return {folder: text(raw.folder) ?? "", runs: list(raw.runs).map(readListed)};
}

// Pages that this page does not understand are passed over.
function readPages(given) {
  return list(given).flatMap((page) => {
    try {
      return [readStatus(page)];
    } catch {
      return [];
    }
  });
}

export function readRun(given) {
  const raw = object(given);
  if (raw.schema !== 1) throw new Error("it speaks another version than this page");
  return {name: text(raw.name) ?? "", pages: readPages(raw.pages), others: readPages(raw.others)};
}
