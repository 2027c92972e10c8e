// memory.js - what the page remembers of a training: a ps that is started again begins with nothing, the curve does not.
// Pure: answers of /status go in, what is to be drawn comes out.
//
// Each process of the ps (an incarnation) tells its whole history in every answer, so the newest answer of each is kept
// and they follow one another. Nothing grows without end: so many processes, events and points of each worker.

const PROCESSES_MAX = 32;
const EVENTS_MAX = 512;
const RECENT_MAX = 480;
const TOGETHER_MS = 3000;

// Events that become marks: whether they are a fault, or the end of one.
const MARKS = {
  member_lost: "fault", member_given_up: "fault", member_restarted: "fault", checkpoint_failed: "fault",
  stall: "fault", failed: "fault", rollback: "fault", resumed: "recovery", member_returned: "recovery",
};

const WORST = ["restart", "fault", "recovery"];

export class Memory {
  #processes = new Map();
  #recent = new Map();
  #restarts = [];
  #silences = [];
  #mode = "sync";

  take(status) {
    this.#mode = status.job?.mode ?? this.#mode;
    const known = this.#processes.get(status.incarnation);
    if (!known && this.#processes.size > 0)
      this.#restarts.push({time: status.started, step: null, kind: "restart", text: `ps ${status.index} was started again`});
    const events = known ? merge(known.events, status.events, (e) => e.sequence, EVENTS_MAX) : status.events;
    this.#processes.set(status.incarnation, {history: status.history, tests: status.tests, events});
    if (this.#processes.size > PROCESSES_MAX) this.#processes.delete(this.#processes.keys().next().value);
    this.#restarts = this.#restarts.slice(-PROCESSES_MAX);
    for (const worker of status.workers)
      this.#recent.set(worker.index, merge(this.#recent.get(worker.index) ?? [], worker.recent, (p) => p.time, RECENT_MAX));
  }

  // Nothing was heard from `begin` to `end`.
  noteSilence(begin, end) {
    this.#silences = [...this.#silences, {begin, end}].slice(-PROCESSES_MAX);
  }

  // Oldest first. `again`: the training went back before it later, and came there again.
  history() {
    const points = [...this.#processes.values()].flatMap((p) => p.history).map((p) => ({...p, again: false}));
    let least = Infinity;
    for (let i = points.length - 1; i >= 0; i--) {
      points[i].again = points[i].step > least;
      least = Math.min(least, points[i].step);
    }
    return points;
  }

  // Where steps are those of each worker, which a test is told with, it stands at the updates that there were by then.
  tests() {
    const tests = merge([], [...this.#processes.values()].flatMap((p) => p.tests), (p) => p.time, Infinity);
    if (this.#mode === "sync") return tests;
    const stepAt = this.#steps();
    return tests.map((test) => ({...test, step: stepAt(test.time)}));
  }

  // How far training had got by a time.
  #steps() {
    const points = this.history();
    return (time) => points.findLast((p) => p.time <= time)?.step ?? points[0]?.step ?? 0;
  }

  // Newest first.
  events() {
    return [...this.#processes.values()].flatMap((p) => p.events).sort((a, b) => b.time - a.time || b.sequence - a.sequence)
      .slice(0, EVENTS_MAX);
  }

  silences() {
    return this.#silences;
  }

  // Faults and their ends, oldest first, numbered from 1, each with a time and, where training had got by then, a step.
  // What comes within TOGETHER_MS of what was before is one mark: a ps that is started again brings many events.
  marks() {
    const stepAt = this.#steps();
    const all = this.events().filter((e) => e.event in MARKS)
      .map((e) => ({time: e.time, step: e.step, kind: MARKS[e.event], text: e.text || e.event, goesOn: e.event === "stall"}))
      .concat(this.#restarts).sort((a, b) => a.time - b.time);
    const marks = []; // a stall is told again and again
    for (const {time, step, kind, text, goesOn} of all) {
      const last = marks.at(-1);
      if (goesOn && last?.step === step) last.latest = time;
      else if (last && time - last.latest < TOGETHER_MS) {
        last.latest = time;
        last.kinds.push(kind);
        last.texts.push(text);
      } else marks.push({number: marks.length + 1, time, latest: time, step: step ?? stepAt(time), kinds: [kind], texts: [text]});
    }
    return marks.map(({kinds, ...mark}) => ({...mark, kind: WORST.find((kind) => kinds.includes(kind))}));
  }

  // Of a worker: {time, step, stepMs, waitMs}, oldest first.
  recent(index) {
    return this.#recent.get(index) ?? [];
  }
}

// Both lists as one, each key once, in the order of keys, the last `most` of them.
function merge(old, added, key, most) {
  const all = new Map(old.map((item) => [key(item), item]));
  for (const item of added) all.set(key(item), item);
  const merged = [...all.values()].sort((a, b) => key(a) - key(b));
  return merged.length > most ? merged.slice(-most) : merged;
}
