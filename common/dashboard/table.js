// table.js - a table that is updated in place, and turns into cards where a screen is narrow (style.css). The roles are
// said besides: they are lost where CSS lays a table out as blocks.

import {element, keep, setAttribute} from "./dom.js";

// `columns`: [{name, title, class, update(cell, row)}]; the first names the row. `keyOf(row)`.
export class Table {
  constructor(root, label, columns, keyOf, empty) {
    this.columns = columns;
    this.keyOf = keyOf;
    this.body = element("tbody", {role: "rowgroup"});
    this.empty = element("p", {class: "note"}, empty);
    this.table = element("table", {role: "table", "aria-label": label},
      element("thead", {role: "rowgroup"}, element("tr", {role: "row"},
        ...columns.map((c) => element("th", {role: "columnheader", scope: "col", class: c.class, title: c.title}, c.name)))),
      this.body);
    root.append(this.table, this.empty);
  }

  draw(rows, rowClass = () => "") {
    this.table.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    keep(this.body, rows, this.keyOf, () => this.#make(), (tr, row) => {
      setAttribute(tr, "class", rowClass(row));
      this.columns.forEach((column, i) => column.update(tr.children[i], row));
    });
  }

  #make() {
    return element("tr", {role: "row"}, ...this.columns.map((c, i) =>
      element(i === 0 ? "th" : "td", {role: i === 0 ? "rowheader" : "cell", scope: i === 0 ? "row" : null, class: c.class, "data-name": c.name})));
  }
}
