/** The panel: everything about one component, one dependency, or the launcher, with its log and its events. */

import { KEPT, sparkline } from "./chart.js";
import { attribute, glyph, h, keyed, put } from "./dom.js";
import { bytes, duration, fullTime, milliseconds, percent } from "./format.js";
import { LEAST } from "./list.js";
import { blocking, latencyOf } from "./model.js";

const AT_REST = new Set(["stopped", "failed", "completed"]);

/** The panel; `closed()`, `opened(name)` and `act(verb, name, query)` are called when somebody asks for it. */
export class Panel {
  #state = null;
  #tab = "logs";
  #logs;
  #events;
  #to;
  #sign = glyph("unknown");
  #subject = h("h2", { id: "subject", tabindex: -1 });
  #phase = h("span", { class: "phase" });
  #problem = h("div", { class: "problem", hidden: true });
  #buttons = h("div", { class: "buttons" });
  #facts = h("dl", { class: "facts" });
  #charts = h("div", { class: "charts" });
  #tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "What is shown below" });
  #verbs = {};
  #count = h("input", { type: "number", min: 1, max: 100, "aria-label": "Replicas", required: true });
  #scale;
  #use = {};

  constructor(element, logs, events, callbacks) {
    this.#logs = logs;
    this.#events = events;
    this.#to = callbacks;
    const leave = () => callbacks.closed();
    const close = h("button", { type: "button", class: "close", "aria-label": "Close (Escape)", click: leave }, "×");
    element.append(
      h("div", { class: "head" }, this.#sign, this.#subject, this.#phase, close),
      this.#problem,
      this.#buttons,
      this.#facts,
      this.#charts,
      this.#tabs,
      logs.element,
      events.element,
    );
    this.#makeButtons();
    this.#makeTabs();
    for (const [name, label] of [["cpu", "CPU"], ["memory", "Memory"]]) this.#makeChart(name, label);
  }

  /** Whether the log is what is shown. */
  get showsLog() {
    return this.#tab === "logs";
  }

  /** Puts the focus on the heading, so that the next Tab leads to the buttons. */
  focus() {
    this.#subject.focus();
  }

  /** Draws the state. */
  show(state) {
    this.#state = state;
    const row = state.picture.rows.get(state.selected);
    put(this.#subject, row ? row.name : "All components");
    this.#phase.hidden = !row;
    attribute(this.#sign, "hidden", !row);
    if (row) this.#sign.show(row.phase);
    put(this.#phase, row ? row.phase : "");
    attribute(this.#phase, "data-phase", row ? row.phase : null);
    this.#showProblem(row);
    this.#showButtons(row, state);
    this.#showFacts(row ? factsOf(row, state) : launcherFacts(state));
    this.#showCharts(row, state);
    this.#events.show(row ? row.name : "");
    this.#logs.element.hidden = this.#tab !== "logs";
    this.#events.element.hidden = this.#tab !== "events";
    for (const tab of this.#tabs.children) {
      attribute(tab, "aria-selected", String(tab.dataset.tab === this.#tab));
      attribute(tab, "tabindex", tab.dataset.tab === this.#tab ? 0 : -1);
    }
  }

  #makeButtons() {
    for (const [verb, label] of [["start", "Start"], ["stop", "Stop"], ["restart", "Restart"]]) {
      const press = () => this.#to.act(verb, this.#state.selected, {});
      this.#verbs[verb] = h("button", { type: "button", click: press }, label);
    }
    const submit = (event) => {
      event.preventDefault();
      this.#to.act("scale", declaredName(this.#state), { replicas: this.#count.value });
    };
    this.#scale = h("form", { class: "scale", submit }, this.#count, h("button", { type: "submit" }, "Scale"));
    this.#buttons.append(...Object.values(this.#verbs), this.#scale);
  }

  #makeTabs() {
    const pick = (tab) => {
      this.#tab = tab;
      this.#to.drawn();
    };
    for (const [tab, label] of [["logs", "Log"], ["events", "Events"]]) {
      this.#tabs.append(h("button", { type: "button", role: "tab", "data-tab": tab, click: () => pick(tab) }, label));
    }
    this.#tabs.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      pick(this.#tab === "logs" ? "events" : "logs");
      this.#tabs.querySelector(`[data-tab=${this.#tab}]`).focus();
    });
  }

  #makeChart(name, label) {
    const chart = sparkline(200, 36, label, KEPT);
    const value = h("b");
    const whole = h("figure", { class: name }, h("figcaption", {}, label, " ", value, h("span", {}, "5 min")), chart);
    this.#charts.append(whole);
    this.#use[name] = { whole, chart, value };
  }

  #showProblem(row) {
    const { message, hint } = problemOf(row);
    this.#problem.hidden = !message;
    keyed(this.#problem, [["", message], ["hint", hint]].filter(([, text]) => text), ([kind]) => kind, ([kind]) => {
      const line = h("p", { class: kind });
      line.update = ([, text]) => put(line, kind ? `hint: ${text}` : text);
      return line;
    });
  }

  #showButtons(row, state) {
    this.#buttons.hidden = !row || row.external;
    if (this.#buttons.hidden) return;
    const { name, phase, desired, placement, kind, replicas } = row.document;
    const busy = state.busy.get(row.name);
    const off = !state.connected || state.overall === "stopping";
    this.#verbs.start.disabled = off || Boolean(busy) || (desired === "up" && !AT_REST.has(phase));
    this.#verbs.stop.disabled = off || busy === "stop" || (desired === "down" && AT_REST.has(phase));
    this.#verbs.restart.disabled = off || Boolean(busy);
    for (const [verb, button] of Object.entries(this.#verbs)) attribute(button, "aria-busy", busy === verb);
    this.#scale.hidden = kind === "command" || placement !== name;
    const editing = this.#scale.contains(document.activeElement) || busy === "scale";
    if (!editing) this.#count.value = replicas;
    this.#scale.lastChild.disabled = off || Boolean(busy);
  }

  #showFacts(facts) {
    keyed(this.#facts, facts.filter(([, value]) => value), ([label]) => label, ([label]) => {
      const value = h("dd");
      const fact = h("div", {}, h("dt", {}, label), value);
      let shown = "";
      fact.update = ([, content]) => {
        if (JSON.stringify(content) === shown) return;
        shown = JSON.stringify(content);
        value.replaceChildren(...this.#content(content));
      };
      return fact;
    });
  }

  /** A fact is a text, { url }, or { names } of rows that can be opened. */
  #content(content) {
    if (typeof content === "string") return [content];
    if (content.url) return [h("a", { href: content.url, target: "_blank", rel: "noopener noreferrer" }, content.url)];
    return content.names.map((name) => h("button", { type: "button", class: "link", click: () => this.#to.opened(name) }, name));
  }

  #showCharts(row, state) {
    const process = row?.host ? state.processes.get(row.document.pid ?? state.status.launcher.pid) : null;
    const name = process ? `PID ${process.pid}` : row ? row.name : "";
    const use = process ?? (row ? row.document : state.total);
    this.#showUse("cpu", name, state, use.cpu, percent);
    this.#showUse("memory", name, state, use.memory, bytes);
    attribute(this.#charts, "title", process ? "of the process, which is shared" : null);
    this.#charts.hidden = this.#use.cpu.whole.hidden && this.#use.memory.whole.hidden;
  }

  #showUse(figure, name, state, now, written) {
    const { whole, chart, value } = this.#use[figure];
    const known = now !== null && now !== undefined;
    whole.hidden = !known;
    if (!known) return;
    put(value, written(now));
    chart.show(state.history.of(`${name} ${figure}`), LEAST[figure]);
  }
}

/** The name under which the selected component, which may be a replica, is declared. */
function declaredName(state) {
  const row = state.picture.rows.get(state.selected);
  const { name, replica } = row.document;
  return replica > 1 ? name.slice(0, -`.${replica}`.length) : name;
}

function problemOf(row) {
  if (!row) return {};
  const { document } = row;
  if (row.external) return document.up === false ? { message: document.reason, hint: document.hint } : {};
  const ended = document.failed_restart ?? (row.phase === "ready" || row.phase === "completed" ? null : document.last_exit);
  if (ended?.message) return ended;
  return row.phase === "unready" ? { message: document.reason } : {};
}

function factsOf(row, state) {
  const { document } = row;
  const { needs, neededBy } = state.picture.graph;
  const links = [
    ["needs", names(needs.get(row.name))],
    ["needed by", names(neededBy.get(row.name))],
  ];
  const since = duration(document.seconds + state.age);
  if (row.external) return [["address", document.url], ["latency", latencyOf(row)], ["since", since], ...links];
  const next = document.next_attempt_in === null ? "" : `in ${duration(Math.ceil(Math.max(0, document.next_attempt_in - state.age)))}`;
  return [
    ["next attempt", next],
    ["waits for", document.waits_for.map((wait) => `${wait.name}: ${wait.what}`).join(", ")],
    ["address", linked(document.url)],
    ["kind", document.kind],
    ["since", since],
    ["PID", document.pid ? String(document.pid) : ""],
    ["incarnation", document.incarnation ? String(document.incarnation) : ""],
    ["restarts", String(document.restarts)],
    ["replica", document.replicas > 1 ? `${document.replica} of ${document.replicas}` : ""],
    ["start", document.start],
    ["event loop", loopOf(document.loop)],
    ["last check", checkOf(document.check)],
    ["beside", document.beside],
    ["last end", problemOf(row).message ? "" : document.last_exit?.message],
    ["clients", document.held ? "answered with 503 by the launcher" : ""],
    ...links,
    ["log", document.log],
  ];
}

function loopOf(loop) {
  if (!loop) return "";
  if (!loop.blocked) return loop.answered ? `answers in ${milliseconds(loop.lag)}` : "has not answered yet";
  return blocking(loop);
}

function checkOf(check) {
  return check ? `${check.ok ? "succeeded" : "failed"} after ${milliseconds(check.latency)}, ${duration(check.seconds)} ago` : "";
}

function launcherFacts(state) {
  const { launcher } = state.status;
  return [
    ["mode", `${launcher.mode} (${launcher.mode_reason})`],
    ["PID", String(launcher.pid)],
    ["version", launcher.version],
    ["started", fullTime(launcher.started_at)],
    ["directory", launcher.root],
    ["logs", launcher.log_dir],
  ];
}

function names(list) {
  return list.length > 0 ? { names: list } : "";
}

function linked(url) {
  return url && /^https?:\/\//.test(url) ? { url } : url;
}
