// heat.js - a map of workers by step (or time): how much of a step each of them waited.
//
// One cell is what a worker told at once: the mean over the steps since it told before. So cells are as wide as they
// truly are, and nothing is made up between them.

import {drawn, element, setAttribute, setText} from "./dom.js";
import {linear, ticks, timeTicks} from "./scale.js";
import {count, elapsed, milliseconds, tick} from "./format.js";

const ROWS_MAX = 64;
const BOTTOM = 24;
const LEFT = 50;
const RIGHT = 14;

const shareOf = (p) => (p.stepMs > 0 && p.waitMs !== null ? Math.min(Math.max(p.waitMs / p.stepMs, 0), 1) : null);

export class HeatMap {
  #given = null;
  #width = 0;
  #at = null; // the cell that is read out: {row, cell}

  // `say(text)` reads out what keys have chosen.
  constructor(root, say) {
    this.say = say;
    this.svg = drawn("svg", {class: "heat", tabindex: 0, role: "img"});
    this.reading = element("p", {class: "note"});
    root.append(this.svg, this.reading);
    this.svg.addEventListener("pointermove", (event) => this.#point(event));
    this.svg.addEventListener("pointerdown", (event) => this.#point(event));
    this.svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#choose(null));
    this.svg.addEventListener("keydown", (event) => this.#press(event));
    this.svg.addEventListener("blur", () => this.#choose(null));
    new ResizeObserver(() => {
      const width = this.svg.getBoundingClientRect().width;
      if (width === this.#width) return;
      this.#width = width;
      this.#draw();
    }).observe(root);
  }

  // `given`: {axis, begin, workers: [{index, points: [{time, step, stepMs, waitMs}], straggles}]}.
  draw(given) {
    this.#given = given;
    this.#draw();
  }

  #cells(worker, axis) {
    const cells = [];
    let before = null;
    for (const p of worker.points) {
      const end = axis === "time" ? p.time : p.step;
      const share = shareOf(p);
      if (before !== null && end > before && share !== null) cells.push({begin: before, end, share, point: p});
      before = end;
    }
    return cells;
  }

  #draw() {
    const given = this.#given, width = this.#width;
    if (!given || width < 60) return;
    const rows = (this.rows = given.workers.slice(0, ROWS_MAX).map((worker) => ({worker, cells: this.#cells(worker, given.axis)})));
    const all = rows.flatMap((row) => row.cells);
    if (all.length === 0) {
      setAttribute(this.svg, "height", 64);
      setAttribute(this.svg, "viewBox", `0 0 ${width} 64`);
      this.svg.replaceChildren(drawn("text", {x: width / 2, y: 36, class: "empty", "text-anchor": "middle"}, "no worker has told of its steps yet"));
      setAttribute(this.svg, "aria-label", "Waiting of workers: none has told of its steps yet");
      return;
    }
    const low = Math.min(...all.map((c) => c.begin)), high = Math.max(...all.map((c) => c.end));
    const tall = rows.length <= 8 ? 30 : rows.length <= 24 ? 18 : 9;
    const height = rows.length * tall + BOTTOM;
    const x = (this.x = linear(low, high, LEFT, width - RIGHT));
    this.tall = tall;
    setAttribute(this.svg, "height", height);
    setAttribute(this.svg, "viewBox", `0 0 ${width} ${height}`);
    const wanted = Math.max(2, Math.round(width / 95));
    const marks = given.axis === "time" ? timeTicks(low - given.begin, high - given.begin, wanted).map((t) => t + given.begin) : ticks(low, high, wanted);
    const label = given.axis === "time" ? (t) => elapsed(t - given.begin) : tick;
    this.svg.replaceChildren(
      ...rows.flatMap((row, i) => this.#row(row, i, x, width)),
      ...marks.map((at) => drawn("text", {class: "label", x: x(at), y: height - 6, "text-anchor": x(at) > width - RIGHT - 14 ? "end" : x(at) < LEFT + 8 ? "start" : "middle"}, label(at))),
      ...this.#outline());
    const means = rows.filter((row) => row.cells.length).map((row) => `worker ${row.worker.index} ${percentOf(row.cells.at(-1).share)}`);
    setAttribute(this.svg, "aria-label", `Share of a step spent waiting, by worker and ${given.axis}; at last: ${means.join(", ")}. Arrow keys move from cell to cell.`);
    const beyond = given.workers.length - rows.length;
    this.hint = `${beyond > 0 ? `The first ${ROWS_MAX} of ${given.workers.length} workers. ` : ""}The stronger the colour, the longer a worker waited${rows.length > 1 ? "; the one whose row stays pale is the one that the others waited for" : ""}.`;
    if (!this.#at) setText(this.reading, this.hint);
  }

  #row({worker, cells}, place, x, width) {
    const top = place * this.tall, gap = this.tall > 12 ? 2 : 1;
    const text = this.tall > 12 || place % 4 === 0;
    return [
      drawn("rect", {class: "ground", x: LEFT, y: top, width: width - LEFT - RIGHT, height: this.tall - gap}),
      text ? drawn("text", {class: `label${worker.straggles ? " straggles" : ""}`, x: LEFT - 8, y: top + this.tall / 2 + 3.5, "text-anchor": "end"}, `${worker.straggles ? "▸ " : ""}w ${worker.index}`) : "",
      ...cells.map((c) => {
        const left = x(c.begin), wide = Math.max(x(c.end) - left - (x(c.end) - left > 4 ? 1 : 0), 0.8);
        return drawn("rect", {class: "cell", x: left.toFixed(1), y: top, width: wide.toFixed(1), height: this.tall - gap, "fill-opacity": (0.06 + 0.94 * c.share).toFixed(3)});
      }),
    ];
  }

  #outline() {
    const cell = this.#at && this.rows[this.#at.row]?.cells[this.#at.cell];
    if (!cell) return [];
    const left = this.x(cell.begin);
    return [drawn("rect", {class: "chosen", x: left, y: this.#at.row * this.tall, width: Math.max(this.x(cell.end) - left, 2), height: this.tall - 2})];
  }

  #choose(at, aloud) {
    this.#at = at;
    const row = at && this.rows?.[at.row], cell = row?.cells[at.cell];
    let text = "";
    if (cell) {
      const steps = `step ${count(cell.point.step)}`;
      text = `worker ${row.worker.index}, to ${steps}: waited ${milliseconds(cell.point.waitMs)} of ${milliseconds(cell.point.stepMs)} a step, ${percentOf(cell.share)}`;
    }
    setText(this.reading, text || this.hint || "");
    if (aloud && text) this.say(text);
    this.#draw();
  }

  #point(event) {
    if (!this.x || !this.rows) return;
    const box = this.svg.getBoundingClientRect(), px = event.clientX - box.left;
    const row = Math.floor((event.clientY - box.top) / this.tall);
    const cell = this.rows[row]?.cells.findLastIndex((c) => this.x(c.begin) <= px) ?? -1;
    this.#choose(cell < 0 ? null : {row, cell});
  }

  #press(event) {
    const moves = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity]};
    if (event.key === "Escape") return this.#choose(null);
    const move = moves[event.key];
    if (!move || !this.rows?.length) return;
    event.preventDefault();
    const limit = (value, most) => Math.min(Math.max(value, 0), most);
    const row = limit((this.#at?.row ?? 0) + move[0], this.rows.length - 1);
    const last = this.rows[row].cells.length - 1;
    if (last < 0) return this.#choose(null);
    this.#choose({row, cell: limit((this.#at?.cell ?? last) + move[1], last)}, true);
  }
}

const percentOf = (share) => `${Math.round(100 * share)} %`;
