// scale.js - from figures to places on a drawing, and the ticks of axes. Pure.

const STEPS = [1, 2, 2.5, 5, 10];

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * STEPS.find((s) => s * power >= rough * 0.999);
}

// Round numbers in [low, high], some `wanted` of them.
export function ticks(low, high, wanted) {
  if (!(high > low)) return [low];
  const step = roundStep((high - low) / wanted);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(+(i * step).toPrecision(12));
  return found;
}

const TIMES_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

// Likewise of milliseconds: round seconds, minutes, hours.
export function timeTicks(low, high, wanted) {
  const rough = (high - low) / wanted / 1000;
  const step = 1000 * (TIMES_S.find((s) => s >= rough) ?? 86400 * Math.ceil(rough / 86400));
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
  return found;
}

// Powers of ten, with 2 and 5 between them where there are few.
export function logTicks(low, high) {
  const found = [];
  const between = Math.log10(high / low) < 2.5 ? [1, 2, 5] : [1];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const factor of between) {
      const at = +(factor * 10 ** power).toPrecision(3);
      if (at >= low * 0.999 && at <= high * 1.001) found.push(at);
    }
  return found;
}

export function linear(low, high, from, to) {
  const factor = high > low ? (to - from) / (high - low) : 0;
  return (x) => from + (x - low) * factor;
}

function logarithmic(low, high, from, to) {
  const inner = linear(Math.log(low), Math.log(high), from, to);
  return (x) => inner(Math.log(Math.min(Math.max(x, low), high)));
}

// For a range as below.
export function place({low, high, whole}, log, from, to) {
  if (!log) return linear(low, high, from, to);
  if (whole === undefined) return logarithmic(low, high, from, to);
  const inner = logarithmic(whole - high, whole - low, to, from);
  return (x) => inner(whole - x);
}

// The range of the vertical axis for these figures, made round: {low, high, at: ticks}. With `log` and a `whole`, what
// lacks of that is what is drawn in powers of ten: 90 %, 99 %, 99.9 %.
export function range(values, {floor = null, ceiling = null, whole, log = false, wanted = 4}) {
  if (log && whole !== undefined) {
    const lacking = range(values.map((v) => (v === null ? null : Math.max(whole - v, 1e-6))), {log});
    return lacking && {low: whole - lacking.high, high: whole - lacking.low, at: lacking.at.map((v) => whole - v), whole};
  }
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value === null || (log && value <= 0)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return null;
  if (log) {
    low /= 1.1;
    high *= 1.1;
    return {low, high, at: logTicks(low, high)};
  }
  if (floor !== null) low = Math.min(low, floor);
  if (ceiling !== null) high = Math.max(high, ceiling);
  if (high - low < Math.abs(high) * 1e-6 || high === low) {
    const room = Math.abs(high) * 0.5 || 1;
    low = floor === null ? low - room : floor;
    high += room;
  }
  const step = roundStep((high - low) / wanted);
  low = Math.floor(low / step + 1e-9) * step;
  high = Math.ceil(high / step - 1e-9) * step;
  return {low, high, at: ticks(low, high, wanted)};
}
