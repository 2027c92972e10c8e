// chart.js - one line chart in SVG: axes, lines, dots, marks of faults, and a cursor that all charts share.
//
// A chart is given what to draw and draws it anew; only the cursor is its own. Pointers move the cursor, and so do arrow
// keys when the chart has the focus. Where a training went back, the line begins again, and what was computed twice is
// pale.

import {drawn, element, setAttribute, setText} from "./dom.js";
import {linear, place, range, ticks, timeTicks} from "./scale.js";
import {elapsed, tick, UNKNOWN} from "./format.js";

const EDGE = {top: 26, right: 14, bottom: 24, left: 50};
const MARK_ROOM = 30; // pixels; marks that are closer become one
const KEY_STEPS = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity};

// Those of `marks` that are less than MARK_ROOM apart, together: {at, marks: [...]}. `marks` in the order of places.
function group(marks, place) {
  const groups = [];
  for (const mark of marks) {
    const at = place(mark), last = groups.at(-1);
    if (last && at - last.at < MARK_ROOM) last.marks.push(mark);
    else groups.push({at, marks: [mark]});
  }
  return groups;
}

function markLabel(marks) {
  const [first, last] = [Math.min(...marks.map((m) => m.number)), Math.max(...marks.map((m) => m.number))];
  return first === last ? String(first) : `${first}–${last}`;
}

function kindOf(marks) {
  return ["restart", "fault", "recovery"].find((kind) => marks.some((m) => m.kind === kind));
}

export class Chart {
  #given = null;
  #cursor = null; // a place in the data, or null
  #width = 0;
  #height = 0;

  // `options`: {title, format, tick, floor, ceiling, series: [{key, name, style: "line" | "dots", tone}]}.
  // `onCursor(x or null, spoken)` hears where the reader looks.
  constructor(options, onCursor) {
    this.options = options;
    this.onCursor = onCursor;
    this.svg = drawn("svg", {tabindex: 0, role: "img", "aria-describedby": "keys"});
    this.values = options.series.map((s) =>
      element("span", {class: `reading ${s.tone} ${s.style}`}, element("i", {"aria-hidden": "true"}), element("em", {}, s.name), element("b", {}, UNKNOWN)));
    this.where = element("span", {class: "where"});
    this.root = element("figure", {class: "panel chart"},
      element("figcaption", {}, element("h3", {}, options.title), ...this.values, this.where), this.svg);
    this.svg.addEventListener("pointermove", (event) => this.#point(event));
    this.svg.addEventListener("pointerdown", (event) => this.#point(event));
    this.svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.onCursor(null));
    this.svg.addEventListener("keydown", (event) => this.#press(event));
    this.svg.addEventListener("blur", () => this.onCursor(null));
    new ResizeObserver(() => this.#measure()).observe(this.svg);
  }

  // `given`: {axis: "step" | "time", begin, low, high, lines: {key: [{x, y, again}]}, marks, gaps, log}, x ascending
  // but where a training went back.
  draw(given) {
    this.#given = given;
    this.#draw();
  }

  // The cursor is at x, or nowhere.
  point(x) {
    this.#cursor = x;
    this.#draw();
  }

  #measure() {
    const box = this.svg.getBoundingClientRect();
    if (box.width === this.#width && box.height === this.#height) return;
    [this.#width, this.#height] = [box.width, box.height];
    setAttribute(this.svg, "viewBox", `0 0 ${box.width} ${box.height}`);
    this.#draw();
  }

  #draw() {
    const given = this.#given, width = this.#width, height = this.#height;
    if (!given || width < 60) return;
    const values = Object.values(given.lines).flat().map((p) => p.y);
    const vertical = range(values, {...this.options, log: given.log, wanted: height > 190 ? 4 : 3});
    const left = EDGE.left, right = width - EDGE.right, top = EDGE.top, bottom = height - EDGE.bottom;
    if (!vertical) {
      this.svg.replaceChildren(drawn("text", {x: width / 2, y: height / 2, class: "empty", "text-anchor": "middle"}, "nothing to draw yet"));
      setAttribute(this.svg, "aria-label", `${this.options.title}: nothing to draw yet`);
      this.#read(given);
      return;
    }
    const x = (this.x = linear(given.low, given.high, left, right));
    const y = place(vertical, given.log, bottom, top);
    const clip = `clip-${this.options.key}`;
    this.svg.replaceChildren(
      drawn("clipPath", {id: clip}, drawn("rect", {x: left - 4, y: top - 6, width: right - left + 8, height: bottom - top + 10})),
      ...this.#grid(given, vertical, x, y, {left, right, top, bottom}),
      ...given.gaps.map((gap) => drawn("rect", {class: "gap", x: x(gap.begin), y: top, width: Math.max(2, x(gap.end) - x(gap.begin)), height: bottom - top})),
      drawn("g", {"clip-path": `url(#${clip})`}, ...this.options.series.flatMap((s) => this.#series(s, given.lines[s.key] ?? [], x, y))),
      ...this.#marks(given, x, {top, bottom}),
      ...this.#cross(given, x, y, {top, bottom}));
    this.#describe(given);
    this.#read(given);
  }

  #grid(given, vertical, x, y, {left, right, top, bottom}) {
    const wanted = Math.max(2, Math.round((right - left) / 95));
    const at = given.axis === "time" ? timeTicks(0, given.high - given.begin, wanted).map((t) => t + given.begin) : ticks(given.low, given.high, wanted);
    const label = given.axis === "time" ? (t) => elapsed(t - given.begin) : tick;
    return [
      ...vertical.at.map((v) => drawn("line", {class: "grid", x1: left, x2: right, y1: y(v), y2: y(v)})),
      ...vertical.at.map((v) => drawn("text", {class: "label", x: left - 8, y: y(v) + 4, "text-anchor": "end"}, this.options.tick(v))),
      ...at.filter((v) => v >= given.low).map((v) => drawn("text", {class: "label", x: x(v), y: bottom + 17, "text-anchor": x(v) > right - 14 ? "end" : x(v) < left + 8 ? "start" : "middle"}, label(v))),
      drawn("line", {class: "base", x1: left, x2: right, y1: bottom, y2: bottom}),
    ];
  }

  #series(series, points, x, y) {
    const seen = points.filter((p) => p.y !== null);
    if (series.style === "dots")
      return seen.map((p) => drawn("circle", {class: `dot ${series.tone}${p.again ? " again" : ""}`, cx: x(p.x), cy: y(p.y), r: seen.length > 40 ? 2.5 : 3.5}));
    const paths = [];
    let path = null;
    for (const p of seen) {
      const back = path && p.x < path.last;
      if (!path || back || path.again !== p.again) {
        // A line that turns pale goes on where it was; one that goes back begins anew.
        const from = path && !back ? `M${path.end}L` : "M";
        path = {again: p.again, d: from, last: p.x};
        paths.push(path);
      } else path.d += "L";
      path.end = `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`;
      path.d += path.end;
      path.last = p.x;
    }
    const lines = paths.sort((a, b) => b.again - a.again).map((one) => drawn("path", {class: `line ${series.tone}${one.again ? " again" : ""}`, d: one.d}));
    const end = seen.at(-1);
    return end ? [...lines, drawn("circle", {class: `end ${series.tone}`, cx: x(end.x), cy: y(end.y), r: 3.5})] : lines;
  }

  #marks(given, x, {top, bottom}) {
    const place = (mark) => x(given.axis === "time" ? mark.time : mark.step);
    const inside = given.marks.filter((m) => place(m) >= EDGE.left - 1 && place(m) <= this.#width - EDGE.right + 1).sort((a, b) => place(a) - place(b));
    return group(inside, place).map(({at, marks}) => {
      const label = markLabel(marks), kind = kindOf(marks), room = Math.max(16, 7 * label.length + 7);
      const middle = Math.min(Math.max(at, EDGE.left + room / 2 - 8), this.#width - room / 2 - 1);
      return drawn("g", {class: `mark ${kind}`},
        drawn("title", {}, marks.map((m) => `${m.number}. ${m.texts[0]}`).join("\n")),
        drawn("line", {x1: at, x2: at, y1: top - 4, y2: bottom}),
        drawn("rect", {x: middle - room / 2, y: top - 21, width: room, height: 16, rx: kind === "restart" ? 2 : 8}),
        drawn("text", {x: middle, y: top - 9, "text-anchor": "middle"}, label));
    });
  }

  // ---- the cursor ----

  // Of each series the point that is nearest to x, those that count before those that were computed again.
  #nearest(given, x) {
    return this.options.series.map((s) => {
      let best = null;
      for (const p of given.lines[s.key] ?? []) {
        if (p.y === null || p.again) continue;
        if (!best || Math.abs(p.x - x) < Math.abs(best.x - x)) best = p;
      }
      return best;
    });
  }

  #cross(given, x, y, {top, bottom}) {
    if (this.#cursor === null) return [];
    const points = this.#nearest(given, this.#cursor);
    const at = x(Math.min(Math.max(this.#cursor, given.low), given.high));
    return [
      drawn("line", {class: "cross", x1: at, x2: at, y1: top, y2: bottom}),
      ...points.map((p, i) => (p ? drawn("circle", {class: `hit ${this.options.series[i].tone}`, cx: x(p.x), cy: y(p.y), r: 5}) : "")),
    ];
  }

  #place(given, x) {
    return given.axis === "time" ? elapsed(x - given.begin) : `step ${Math.round(x).toLocaleString("en-GB")}`;
  }

  #read(given) {
    const points = this.#cursor === null ? this.options.series.map((s) => given.lines[s.key]?.findLast((p) => p.y !== null) ?? null) : this.#nearest(given, this.#cursor);
    points.forEach((p, i) => setText(this.values[i].lastChild, p ? this.options.format(p.y) : UNKNOWN));
    setText(this.where, this.#cursor === null ? "" : this.#place(given, this.#cursor));
  }

  #describe(given) {
    const parts = this.options.series.map((s) => {
      const seen = (given.lines[s.key] ?? []).filter((p) => p.y !== null);
      return seen.length === 0 ? null : `${s.name} from ${this.options.format(seen[0].y)} to ${this.options.format(seen.at(-1).y)}`;
    }).filter((part) => part !== null);
    const marks = given.marks.length;
    setAttribute(this.svg, "aria-label", `${this.options.title} by ${given.axis}: ${parts.join(", ")}${marks ? `; ${marks} mark${marks > 1 ? "s" : ""}` : ""}`);
  }

  #point(event) {
    if (!this.#given || !this.x) return;
    const given = this.#given, box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left - EDGE.left) / (box.width - EDGE.left - EDGE.right);
    const wanted = given.low + Math.min(Math.max(share, 0), 1) * (given.high - given.low);
    const points = this.#nearest(given, wanted);
    this.onCursor(points[0] ? points[0].x : wanted);
  }

  #press(event) {
    if (event.key === "Escape") return this.onCursor(null);
    const given = this.#given, by = KEY_STEPS[event.key];
    if (by === undefined || !given) return;
    const points = (given.lines[this.options.series[0].key] ?? []).filter((p) => p.y !== null && !p.again);
    if (points.length === 0) return;
    event.preventDefault();
    const here = this.#cursor === null ? points.length : points.findIndex((p) => p.x >= this.#cursor);
    const next = Math.min(Math.max((here < 0 ? points.length : here) + by, 0), points.length - 1);
    const at = points[next].x;
    const values = this.#nearest(given, at).map((p, i) => (p ? `${this.options.series[i].name} ${this.options.format(p.y)}` : ""));
    this.onCursor(at, `${this.#place(given, at)}: ${values.filter(Boolean).join(", ")}`);
  }
}
