/** The list of components, grouped by process, with the arrows beside it. */

import { Arrows } from "./arrows.js";
import { sparkline } from "./chart.js";
import { attribute, glyph, h, keyed, put } from "./dom.js";
import { brief, bytes, counted, known, percent } from "./format.js";
import { latencyOf, matches, PHASES } from "./model.js";

/** Least values that fill the height of a sparkline: below them, noise would look like work. */
export const LEAST = { cpu: 10, memory: 32 * 2 ** 20 };

/** Samples in a row: two minutes. */
const SPAN = 60;

/** The list; `chosen(name)` is called when a row is opened, `filtered(text)` when a phase is picked. */
export class List {
  #list = document.getElementById("list");
  #map = document.getElementById("map");
  #counts = document.getElementById("counts");
  #nothing = document.getElementById("nothing");
  #arrows = new Arrows(document.getElementById("arrows"), this.#map);
  #rows = new Map();
  #current = "";
  #pointed = "";
  #state = null;
  #chosen;
  #filtered;

  constructor({ chosen, filtered }) {
    this.#chosen = chosen;
    this.#filtered = filtered;
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.#open(row.dataset.name, false);
    });
    this.#list.addEventListener("pointerover", (event) => this.#point(event.target.closest("[role=option]")?.dataset.name ?? ""));
    this.#list.addEventListener("pointerleave", () => this.#point(""));
    new ResizeObserver(() => this.#drawArrows()).observe(this.#list);
  }

  /** Draws the state. */
  show(state) {
    this.#state = state;
    const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const blocks = state.picture.blocks
      .map((block) => ({ ...block, rows: block.rows.filter((row) => matches(row, words)) }))
      .filter((block) => block.rows.length > 0);
    this.#rows = new Map();
    keyed(this.#list, blocks, (block) => block.key, () => this.#block());
    if (!this.#rows.has(this.#current)) this.#current = this.#rows.keys().next().value ?? "";
    for (const [name, row] of this.#rows) attribute(row, "tabindex", name === this.#current ? 0 : -1);
    this.#nothing.hidden = this.#rows.size > 0;
    put(this.#nothing, state.filter ? `Nothing matches “${state.filter}”.` : "There is nothing to show.");
    this.#showCounts(state);
    this.#drawArrows();
  }

  /** Puts the focus on the current row, or on `name`. */
  focus(name = this.#current) {
    if (!this.#rows.has(name)) return;
    attribute(this.#rows.get(this.#current), "tabindex", -1);
    this.#current = name;
    attribute(this.#rows.get(name), "tabindex", 0);
    this.#rows.get(name).focus();
  }

  #block() {
    const title = h("span", { class: "of" });
    const cpu = figure("CPU");
    const memory = figure("Memory");
    const rows = h("div", { class: "rows" });
    const head = h("div", { class: "title", "aria-hidden": "true" }, title, cpu, memory, h("span"), h("span", { class: "since" }, "for"));
    const block = h("div", { class: "block", role: "group" }, head, rows);
    block.update = (item) => {
      put(title, item.title);
      attribute(block, "aria-label", item.title);
      attribute(block, "data-shared", Boolean(item.pid));
      if (item.pid) this.#showUse(`PID ${item.pid}`, this.#state.processes.get(item.pid), cpu, memory);
      else [cpu, memory].forEach((place, number) => place.show([], 1, item.heads[number]));
      for (const [name, row] of keyed(rows, item.rows, (row) => row.name, () => this.#row())) this.#rows.set(name, row);
    };
    return block;
  }

  #row() {
    const sign = glyph("unknown");
    const phase = h("span", { class: "phase" });
    const name = h("span", { class: "name" });
    const kind = h("span", { class: "kind" });
    const cpu = figure("CPU");
    const memory = figure("Memory");
    const restarts = h("span", { class: "restarts" });
    const since = h("span", { class: "since" });
    const note = h("span", { class: "note" });
    const what = h("span", { class: "what" }, name, kind);
    const row = h("div", { class: "row", role: "option" }, sign, phase, what, cpu, memory, restarts, since, note);
    row.update = (item) => {
      row.dataset.name = item.name;
      attribute(row, "data-phase", item.phase);
      attribute(row, "data-external", item.external);
      attribute(row, "aria-selected", String(item.name === this.#state.selected));
      attribute(row, "aria-label", [item.name, item.phase, item.note].filter(Boolean).join(", "));
      attribute(row, "aria-busy", this.#state.busy.has(item.name));
      sign.show(item.phase);
      put(phase, item.phase);
      put(name, item.name);
      put(kind, item.kind);
      put(since, brief(item.document.seconds + this.#state.age));
      put(note, item.note);
      note.hidden = item.note === "";
      const count = item.document.restarts ?? 0;
      put(restarts, count ? `↻ ${count}` : "");
      attribute(restarts, "title", count ? counted(count, "automatic restart") : null);
      if (item.external) cpu.show([], 1, latencyOf(item));
      else this.#showUse(item.name, item.document, cpu, memory);
    };
    return row;
  }

  #showUse(name, use, cpu, memory) {
    const { history } = this.#state;
    cpu.show(history.of(`${name} cpu`), LEAST.cpu, known(use?.cpu, percent));
    memory.show(history.of(`${name} memory`), LEAST.memory, known(use?.memory, bytes));
  }

  #showCounts(state) {
    const counts = new Map();
    for (const row of state.picture.rows.values()) counts.set(row.phase, (counts.get(row.phase) ?? 0) + 1);
    const phases = PHASES.filter((phase) => counts.has(phase)).map((phase) => ({ phase, count: counts.get(phase) }));
    keyed(this.#counts, phases, (item) => item.phase, ({ phase }) => {
      const text = h("span");
      const press = () => this.#filtered(this.#state.filter === phase ? "" : phase);
      const button = h("button", { type: "button", "data-phase": phase, click: press }, glyph(phase), text);
      button.update = (item) => {
        put(text, `${item.count} ${phase}`);
        attribute(button, "aria-pressed", String(this.#state.filter === phase));
      };
      return button;
    });
  }

  #drawArrows() {
    if (this.#state) this.#arrows.draw(this.#rows, this.#state.picture.graph, this.#pointed || this.#state.selected);
  }

  #point(name) {
    if (name === this.#pointed) return;
    this.#pointed = name;
    this.#drawArrows();
  }

  #open(name, byKey) {
    this.#current = name;
    this.#chosen(name, byKey);
  }

  #key(event) {
    const names = [...this.#rows.keys()];
    const place = names.indexOf(this.#current);
    const to = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: names.length - 1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to !== undefined) {
      event.preventDefault();
      this.focus(names[Math.max(0, Math.min(names.length - 1, to))]);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#open(this.#current, true);
    }
  }
}

function figure(label) {
  const chart = sparkline(48, 16, label, SPAN);
  const value = h("span");
  const whole = h("span", { class: `use ${label.toLowerCase()}` }, chart, value);
  whole.show = (samples, least, text) => {
    chart.show(samples, least);
    put(value, text);
  };
  return whole;
}
