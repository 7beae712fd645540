/** The log view: the last lines, and those that follow, of one component or of all. */

import { Refused, stream } from "./api.js";
import { pause } from "./connection.js";
import { attribute, h, put } from "./dom.js";
import { clock, counted, fullTime } from "./format.js";

/** Lines asked for at first, kept in the page, and held back while the view is paused. */
const FIRST = 300;
const KEPT = 2000;
const HELD = 5000;

const LEVELS = ["", "debug", "info", "warning", "error", "critical"];

/** Milliseconds without a key before a search begins. */
const TYPING = 200;

const ESCAPES = /\u001b\[[0-9;?]*[A-Za-z]/g;

/** The view; it streams while it is told that it can, and is shown. */
export class Logs {
  element;
  #lines = h("div", { class: "lines", role: "log", tabindex: 0, "aria-label": "Log lines", "aria-live": "off" });
  #search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search the log", spellcheck: "false" });
  #level = h("select", { "aria-label": "Lowest level" });
  #follow = h("button", { type: "button", class: "follow", "aria-pressed": "true", "aria-keyshortcuts": "f" });
  #problem = h("p", { class: "problem", role: "alert", hidden: true });
  #component = null;
  #possible = false;
  #streaming = null;
  #lastId = "";
  #waiting = [];
  #held = [];
  #dropped = 0;
  #frame = 0;
  #paused = false;

  constructor() {
    this.#level.append(...LEVELS.map((level) => h("option", { value: level }, level || "all levels")));
    const tools = h("div", { class: "tools" }, this.#search, this.#level, this.#follow);
    this.element = h("div", { class: "logs", role: "tabpanel", "aria-label": "Log" }, tools, this.#problem, this.#lines);
    let typing = 0;
    this.#search.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#begin(), TYPING);
    });
    this.#level.addEventListener("change", () => this.#begin());
    this.#follow.addEventListener("click", () => this.toggle());
    this.#lines.addEventListener("scroll", () => this.#scrolled());
    this.#tell();
  }

  /** Shows the lines of a component, or of all for an empty name, if there is a connection and the view is seen. */
  show(component, possible) {
    if (component === this.#component && possible === this.#possible) return;
    if (component !== this.#component) this.#lastId = "";
    this.#component = component;
    this.#possible = possible;
    this.#connect();
  }

  /** Pauses, or goes on with what came meanwhile. */
  toggle() {
    this.#pause(!this.#paused);
  }

  #pause(paused) {
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (!paused) {
      this.#waiting.unshift(...this.#held.splice(0));
      this.#dropped = 0;
      this.#flush();
      this.#lines.scrollTop = this.#lines.scrollHeight;
    }
    this.#tell();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#lines;
    const atEnd = scrollHeight - scrollTop - clientHeight < 24;
    if (!atEnd && scrollTop < this.#before) this.#pause(true);
    else if (atEnd && scrollTop > this.#before) this.#pause(false);
    this.#before = scrollTop;
  }

  #before = 0;

  #tell() {
    const count = this.#held.length + this.#dropped;
    attribute(this.#follow, "aria-pressed", String(!this.#paused));
    put(this.#follow, this.#paused ? (count ? `Paused, ${count} new` : "Paused") : "Following");
    attribute(this.#follow, "title", this.#paused ? "Go on following (f)" : "Pause (f)");
  }

  /** Asks anew, for something else than before. */
  #begin() {
    this.#lastId = "";
    this.#connect();
  }

  /** Goes on after the last line that came; at the beginning, or after a change, there is none, and the view is emptied. */
  #connect() {
    this.#streaming?.abort();
    this.#streaming = null;
    if (!this.#possible) return;
    this.#streaming = new AbortController();
    this.#run(this.#streaming.signal);
  }

  async #run(signal) {
    const query = new URLSearchParams({ n: FIRST, follow: 1 });
    const chosen = { component: this.#component, level: this.#level.value, grep: this.#search.value };
    for (const [name, value] of Object.entries(chosen)) if (value) query.set(name, value);
    while (!signal.aborted) {
      try {
        if (!this.#lastId) this.#clear();
        for await (const message of stream(`/logs?${query}`, { lastId: this.#lastId, signal })) this.#take(message);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused) {
          this.#complain(`${error.message}${error.hint ? ` (${error.hint})` : ""}`);
          return;
        }
      }
      await pause(1000);
    }
  }

  #complain(text) {
    put(this.#problem, text);
    this.#problem.hidden = text === "";
  }

  #clear() {
    this.#complain("");
    this.#waiting = [];
    this.#held = [];
    this.#dropped = 0;
    this.#paused = false;
    this.#lines.replaceChildren();
    this.#before = 0;
    this.#tell();
  }

  #take(message) {
    this.#lastId = message.id || this.#lastId;
    if (message.event !== "log") return;
    const line = JSON.parse(message.data);
    if (!this.#paused) {
      this.#waiting.push(line);
      this.#frame ||= requestAnimationFrame(() => this.#flush());
      return;
    }
    this.#held.push(line);
    if (this.#held.length > HELD) {
      this.#held.shift();
      this.#dropped += 1;
    }
    this.#tell();
  }

  /** Adds what has come since the last frame: one layout, however many lines. */
  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const lines = this.#waiting.splice(0).slice(-KEPT);
    this.#lines.append(...lines.map((line) => lineOf(line, this.#component === "")));
    for (let over = this.#lines.childElementCount - KEPT; over > 0; over -= 1) this.#lines.firstElementChild.remove();
    if (!this.#paused) this.#lines.scrollTop = this.#lines.scrollHeight;
    attribute(this.#lines, "aria-label", counted(this.#lines.childElementCount, "log line"));
  }
}

function lineOf(line, named) {
  const level = (line.level || (line.stream === "stderr" ? "stderr" : "")).toLowerCase();
  return h(
    "div",
    { class: "line", "data-level": level || null, "data-stream": line.stream },
    h("time", { title: fullTime(line.time) }, clock(line.time)),
    named ? h("span", { class: "from" }, line.component || "launcher") : null,
    level && level !== "info" ? h("span", { class: "level" }, level) : null, // most are info: silence says so
    h("span", { class: "message" }, line.message.replace(ESCAPES, "")),
  );
}
