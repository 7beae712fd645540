/** The time line: what happened to whom, newest first. */

import { attribute, glyph, h, put } from "./dom.js";
import { clock, fullTime } from "./format.js";
import { Strip } from "./strip.js";

/** Events kept in the page. */
const KEPT = 500;

/** The time line of one component or of all; it keeps its nodes, and hides those of others. */
export class Events {
  #strip = new Strip();
  #list = h("div", { class: "events", role: "log", "aria-label": "Events", "aria-live": "off", tabindex: 0 });
  element = h("div", { class: "happened", role: "tabpanel", "aria-label": "Events" }, this.#strip.element, this.#list);
  #none = h("p", { class: "nothing" }, "No events yet.");
  #items = [];
  #name = "";

  constructor() {
    this.#list.append(this.#none);
  }

  /** Adds a transition. */
  add(event) {
    const beside = event.role === "current" ? "" : event.role;
    const reason = [beside, event.exit?.message || event.reason].filter(Boolean).join(": ");
    const node = h(
      "div",
      { class: "event" },
      h("time", { title: fullTime(event.time) }, clock(event.time)),
      h("span", { class: "from" }, event.component),
      h("span", { class: "change" }, glyph(event.after), h("span", { class: "phase", "data-phase": event.after }, event.after)),
      h("span", { class: "life" }, event.incarnation ? `#${event.incarnation}` : ""),
      h("span", { class: "message" }, reason),
    );
    const item = { node, name: event.component, time: Date.parse(event.time), after: event.after };
    this.#put(event.role === "current" ? item : { ...item, after: "" });
  }

  /** Adds a line that is about no component. */
  say(text) {
    const now = Date.now() / 1000;
    const time = h("time", { title: fullTime(now) }, clock(now));
    const node = h("div", { class: "event remark" }, time, h("span", { class: "message" }, text));
    this.#put({ node, name: "", time: now * 1000, after: "" });
  }

  /** Shows the events of a component, or of all for an empty name. */
  show(name) {
    const changes = name ? this.#items.filter((item) => item.name === name && item.after) : [];
    this.#strip.show(changes, Date.now());
    if (name === this.#name) return;
    this.#name = name;
    for (const item of this.#items) item.node.hidden = !this.#wanted(item);
    this.#count();
  }

  #wanted(item) {
    return this.#name === "" || item.name === "" || item.name === this.#name;
  }

  #put(item) {
    item.node.hidden = !this.#wanted(item);
    this.#list.prepend(item.node);
    this.#items.push(item);
    if (this.#items.length > KEPT) this.#items.shift().node.remove();
    this.#count();
  }

  #count() {
    const seen = this.#items.some((item) => !item.node.hidden);
    this.#none.hidden = seen;
    put(this.#none, this.#name ? `No events of ${this.#name} yet.` : "No events yet.");
    attribute(this.#list, "data-named", this.#name === "");
  }
}
