// format.js - numbers as text, with their units. What is not known is a dash.

export const UNKNOWN = "–";

const grouped = new Intl.NumberFormat("en-GB", {maximumFractionDigits: 0});

const known = (format) => (x) => (x === null || x === undefined || !Number.isFinite(x) ? UNKNOWN : format(x));

export const count = known((x) => grouped.format(x));

// With so many digits that matter, and without exponent where that can be read.
export const significant = known((x) => {
  const size = Math.abs(x);
  if (size === 0) return "0";
  if (size >= 1000) return grouped.format(x);
  if (size < 1e-4) return x.toExponential(2).replace("e-", "e−");
  return x.toPrecision(4);
});

// Likewise, without zeros that say nothing.
export const plain = known((x) => (Math.abs(x) < 1e-4 && x !== 0 ? significant(x) : String(+x.toPrecision(4))));

// For the ticks of an axis: no more digits than needed.
export const tick = known((x) => {
  const size = Math.abs(x);
  if (size >= 1e6) return `${+(x / 1e6).toPrecision(3)} M`;
  if (size >= 1e5) return `${+(x / 1e3).toPrecision(3)} k`;
  if (size >= 1e3) return grouped.format(x);
  if (size !== 0 && size < 1e-4) return x.toExponential().replace("e-", "e−");
  return String(+x.toPrecision(4));
});

export const percent = known((x) => `${(100 * x).toFixed(2)} %`);

export const percentTick = known((x) => `${+(100 * x).toPrecision(4)} %`);

export const milliseconds = known((x) => {
  if (x >= 10000) return `${(x / 1000).toFixed(1)} s`;
  if (x >= 1000) return `${(x / 1000).toFixed(2)} s`;
  return `${x >= 100 ? x.toFixed(0) : x.toPrecision(x >= 1 ? 3 : 2)} ms`;
});

export const bytes = known((x) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (x >= 1024 && place < units.length - 1) {
    x /= 1024;
    place++;
  }
  return `${place === 0 ? x : x.toPrecision(x >= 1000 ? 4 : 3)} ${units[place]}`;
});

// Two units at most: "42 s", "3 min 20 s", "2 h 5 min", "4 d 3 h".
export const duration = known((seconds) => {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
});

// Of a time axis: "0:42", "1:05:00".
export const elapsed = known((ms) => {
  const s = Math.max(0, Math.round(ms / 1000)), two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600), minutes = Math.floor((s % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
});

export const day = known((unixMs) => new Date(unixMs).toLocaleString("en-GB", {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"}));

export const clock = known((unixMs) => new Date(unixMs).toLocaleTimeString("en-GB"));
