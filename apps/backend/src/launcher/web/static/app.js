/**
 * The dashboard. Data flows one way: the launcher's documents and events, then `state`, then `draw()`, then the page.
 * What somebody does here is sent to the launcher, and is seen when it comes back from there.
 */

import { Actions } from "./actions.js";
import { History } from "./chart.js";
import { Connection } from "./connection.js";
import { attribute, glyph, h, put } from "./dom.js";
import { Events } from "./events.js";
import { bytes, clock, counted, duration, known, percent } from "./format.js";
import { List } from "./list.js";
import { Logs } from "./logs.js";
import { picture, TROUBLE } from "./model.js";
import { Panel } from "./panel.js";

/** Milliseconds between two samples of the same figure, at least; a status that was asked for in between adds none. */
const SAMPLE = 1500;

/** Milliseconds in which changes are gathered before a screen reader is told. */
const GATHER = 700;

const OVERALL = { up: "ready", degraded: "unready", starting: "starting", stopping: "stopping", disconnected: "down" };

const state = {
  /** The last status document, and what is drawn of it; null before the first. */
  status: null,
  picture: null,
  /** Seconds since the status arrived. */
  age: 0,
  overall: "starting",
  connected: false,
  /** When the connection was lost, in milliseconds since the epoch; 0 while it stands. */
  lostAt: 0,
  signedOut: false,
  /** The component or dependency that is open; empty for all. */
  selected: "",
  /** Whether the panel covers the list, where there is no room for both. */
  open: false,
  filter: "",
  history: new History(),
  /** Components with a command under way, and its verb. */
  busy: new Map(),
  /** The processes of the status document by PID. */
  processes: new Map(),
  /** What everything takes together. */
  total: {},
};

const byId = (id) => document.getElementById(id);
const filter = byId("filter");
const sign = glyph("starting");
const word = h("span");
/** What happened before is listed, and not announced. */
const opened = Date.now();
let arrived = 0;
let sampled = 0;
let asked = 0;

byId("overall").append(sign, word);

const actions = new Actions(drawSoon);
state.busy = actions.busy;
const logs = new Logs();
const events = new Events();
const list = new List({ chosen: open, filtered: setFilter });
const panel = new Panel(byId("panel"), logs, events, {
  closed: close,
  opened: (name) => open(name, true),
  act: (verb, name, query) => actions.run(verb, name, state, query),
  drawn: drawSoon,
});

const connection = new Connection({
  status(document) {
    if (state.status && state.status.launcher.pid !== document.launcher.pid) {
      state.history.clear();
      events.say(`another launcher has begun, PID ${document.launcher.pid}`);
    }
    state.status = document;
    state.picture = picture(document);
    state.overall = document.launcher.state;
    arrived = performance.now();
    sample(document);
    draw();
  },
  transition(event) {
    events.add(event);
    if (Date.parse(event.time) > opened) tell(`${event.component} ${event.after}`);
  },
  gap({ missing }) {
    if (missing) events.say(`${counted(missing, "event")} were missed`);
  },
  changed(kind) {
    const before = state.lostAt;
    state.connected = kind === "connected";
    state.signedOut = kind === "signed-out";
    state.lostAt = state.connected ? 0 : before || Date.now();
    if (state.connected && before) events.say(`connected again, after ${duration((Date.now() - before) / 1000)}`);
    drawSoon();
  },
});

/** Adds the figures of a status document to the history. */
function sample(document) {
  const processes = document.processes ?? [];
  state.processes = new Map(processes.map((process) => [process.pid, process]));
  state.total = { cpu: sum(processes, "cpu"), memory: sum(processes, "memory") };
  if (arrived - sampled < SAMPLE) return;
  sampled = arrived;
  const named = processes.map((process) => ({ ...process, name: `PID ${process.pid}` }));
  for (const item of [...document.components, ...named, { name: "", ...state.total }]) {
    state.history.add(`${item.name} cpu`, item.cpu);
    state.history.add(`${item.name} memory`, item.memory);
  }
  state.history.forget();
}

function sum(items, figure) {
  const values = items.map((item) => item[figure]).filter((value) => value !== null && value !== undefined);
  return values.length > 0 ? values.reduce((total, value) => total + value, 0) : null;
}

function drawSoon() {
  asked ||= requestAnimationFrame(draw);
}

function draw() {
  cancelAnimationFrame(asked);
  asked = 0;
  drawBanner();
  attribute(document.body, "data-connected", state.connected);
  if (!state.status) return;
  state.age = state.connected ? (performance.now() - arrived) / 1000 : 0;
  if (state.selected && !state.picture.rows.has(state.selected)) close();
  attribute(document.body, "data-open", state.open);
  list.show(state);
  panel.show(state);
  logs.show(logsOf(), state.connected && panel.showsLog && !document.hidden && logs.element.offsetParent !== null);
  drawBar();
}

/** An external dependency has no log of its own: then all lines are shown. */
function logsOf() {
  const row = state.picture.rows.get(state.selected);
  return row && !row.external ? row.name : "";
}

function drawBar() {
  const { name, launcher } = state.status;
  const trouble = [...state.picture.rows.values()].filter((row) => TROUBLE.has(row.phase)).length;
  const overall = state.connected ? state.overall : "disconnected";
  put(byId("name"), name);
  sign.show(OVERALL[overall]);
  put(word, overall);
  attribute(byId("overall"), "data-phase", OVERALL[overall]);
  const figures = [known(state.total.cpu, (value) => `CPU ${percent(value)}`), known(state.total.memory, bytes)];
  put(byId("meta"), [launcher.mode, `up ${duration(launcher.uptime + state.age)}`, ...figures].filter(Boolean).join(" · "));
  document.title = `${trouble ? `(${trouble}!) ` : ""}${name}, ${overall}`;
  attribute(byId("icon"), "href", trouble || !state.connected ? "icon-alert.svg" : "icon.svg");
}

function drawBanner() {
  const banner = byId("banner");
  banner.hidden = state.connected || state.lostAt === 0;
  if (banner.hidden) return;
  const since = `${clock(state.lostAt / 1000)}, ${duration((Date.now() - state.lostAt) / 1000)} ago`;
  if (state.signedOut) {
    explain(banner, "The session has ended.", "Get a new link with", "launcher dashboard");
  } else {
    const line = `launcher up --api ${location.port}`;
    explain(banner, `Disconnected since ${since}.`, "This page goes on by itself when the launcher is back:", line);
  }
}

function explain(banner, what, how, line) {
  if (banner.childElementCount === 0) banner.append(h("b"), " ", h("span"), " ", h("code"));
  const [first, second, third] = banner.children;
  put(first, what);
  put(second, how);
  put(third, line);
}

/** Opens a row; by key, the focus goes to the panel, so that Tab leads to its buttons. */
function open(name, byKey) {
  location.hash = `#/${encodeURIComponent(name)}`;
  if (byKey) requestAnimationFrame(() => panel.focus());
}

function close() {
  if (!state.open) return;
  const name = state.selected || undefined;
  history.pushState(null, "", location.pathname);
  follow();
  list.focus(name);
}

/** Takes the selection from the address, so that Back closes what was opened. */
function follow() {
  state.open = location.hash.startsWith("#/");
  state.selected = state.open ? decoded(location.hash.slice(2)) : "";
  draw();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // typed by hand
  }
}

function setFilter(text) {
  filter.value = text;
  state.filter = text;
  draw();
}

let told = [];

/** Tells a screen reader what has changed: what comes together is told together, the last state of each. */
function tell(text) {
  if (told.push(text) > 1) return;
  setTimeout(() => {
    const last = [...new Map(told.map((each) => [each.split(" ")[0], each])).values()];
    put(byId("live"), last.length > 5 ? `${counted(last.length, "component")} changed, the last: ${last.at(-1)}` : last.join(", "));
    told = [];
  }, GATHER);
}

function typing(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("confirm").open) return;
  if (event.key === "Escape") {
    if (event.target === filter && state.filter) setFilter("");
    else if (event.target === filter) list.focus();
    else close();
  } else if (typing(event.target)) {
    if (event.target === filter && (event.key === "ArrowDown" || event.key === "Enter")) {
      event.preventDefault();
      list.focus();
    }
  } else if (event.key === "/") {
    event.preventDefault();
    filter.select();
  } else if (event.key === "f") {
    logs.toggle();
  }
});

filter.addEventListener("input", () => setFilter(filter.value));
byId("all").addEventListener("click", () => open("", true));
window.addEventListener("hashchange", follow);
window.addEventListener("popstate", follow);
document.addEventListener("visibilitychange", draw); // at once: a hidden page gets no frames, and is to let go of its streams
window.addEventListener("resize", drawSoon);
setInterval(drawSoon, 1000);

follow();
connection.start();
