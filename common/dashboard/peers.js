// peers.js - what the other ps say of their shards.
//
// A page may read from other ports of this host only what allows it: a ps on loopback allows it to pages that came from
// loopback (common/http_host.h); and where a ps is that has come back at another port. From others, and from what only looks like a ps of this job, nothing is shown.

import {ask, hasToken} from "./ask.js";
import {readServers, readStatus} from "./status.js";

const PATIENCE_MS = 3000;
const SOUGHT_MAX = 16;
const FAILURES = 2; // in a row, and it does not answer
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost)(:\d+)?$/;

const askAt = (http) => ask(`http://${http}/status`, PATIENCE_MS);

// With a token, which is for one server alone, the others are not asked.
const mayAsk = () => LOOPBACK.test(location.host) && !hasToken();

export class Peers {
  #said = new Map();
  #asking = new Set();
  #known = new Map(); // from index to where it was last known to show itself: a ps that has just come back knows of none

  // Asks those that `status` names.
  ask(status) {
    if (!mayAsk()) return;
    for (const {index, http} of status.servers) if (http) this.#known.set(index, http);
    for (const {index, http} of status.servers)
      if (index !== status.index && http && LOOPBACK.test(http) && !this.#asking.has(index)) this.#askOne(index, http, status.job);
  }

  // Where the ps of `status` may show itself by now, as the other ps and the workers say; each once.
  async seek(status) {
    if (!mayAsk()) return [];
    const servers = status.servers.filter((s) => s.index !== status.index).map((s) => s.http ?? this.#known.get(s.index));
    const known = [...servers, ...status.workers.map((worker) => worker.http)]
      .filter((http) => http && LOOPBACK.test(http)).slice(0, SOUGHT_MAX);
    const answers = await Promise.allSettled(known.map(askAt));
    const told = answers.flatMap((a) => (a.status === "fulfilled" ? readServers(a.value) : []));
    return [...new Set(told.filter((s) => s.index === status.index && s.http && LOOPBACK.test(s.http)).map((s) => s.http))];
  }

  // What they said last, `others`, instead of asking.
  recall(others) {
    this.#said = new Map(others.map((other) => [other.index, {shard: other.shard, answers: "recorded"}]));
  }

  // A Map from index to {shard, answers: "yes" | "no" | null}.
  said() {
    return this.#said;
  }

  async #askOne(index, http, job) {
    this.#asking.add(index);
    try {
      const other = readStatus(await askAt(http));
      if (other.index !== index || (other.job && other.job.seed !== job?.seed)) throw new Error("another job");
      this.#said.set(index, {shard: other.shard, answers: "yes", failures: 0});
    } catch {
      const before = this.#said.get(index) ?? {shard: null, answers: null, failures: 0}, failures = before.failures + 1;
      this.#said.set(index, {...before, failures, answers: failures < FAILURES ? before.answers : "no"});
    }
    this.#asking.delete(index);
  }
}
