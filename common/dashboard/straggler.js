// straggler.js - which worker do the others wait for? Pure.

const FACTOR = 1.25; // times the median of the others' own time of a step
const WAITS = 0.5; // and it waits at most this part of what they wait
const WAITED_MS = 2000; // and whoever is waited for now, for so long

function median(values) {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// What a worker takes itself of a step, in ms; null: it has not told.
export const ownMs = (worker) => (worker.stepMs === null || worker.waitMs === null ? null : worker.stepMs - worker.waitMs);

// A Map from the index of each worker that holds the others up to why, for people. In a training that runs it is the
// slowest one at most, if it is that by a fair margin; while somebody has waited for long, those whom it waits for.
export function findStragglers(workers, waits) {
  const found = new Map();
  for (const wait of waits)
    for (const index of wait.on)
      if (wait.sinceMs >= WAITED_MS && index !== wait.worker)
        found.set(index, `waited for, ${(wait.sinceMs / 1000).toFixed(0)} s`);
  const paced = workers.filter((w) => ["training", "waiting"].includes(w.state) && ownMs(w) > 0);
  if (found.size > 0 || paced.length < 2) return found;
  const slowest = paced.reduce((a, b) => (ownMs(b) > ownMs(a) ? b : a));
  const others = paced.filter((w) => w !== slowest);
  const usual = median(others.map(ownMs));
  if (ownMs(slowest) >= FACTOR * usual && slowest.waitMs <= WAITS * median(others.map((w) => w.waitMs)))
    found.set(slowest.index, `straggler, ${(ownMs(slowest) / usual).toFixed(1)}× the others' time`);
  return found;
}
