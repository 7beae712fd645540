/** Commands to components: asked for, confirmed, carried out, and answered for. */

import { command, Refused, SignedOut } from "./api.js";
import { h, put } from "./dom.js";
import { counted } from "./format.js";
import { dependentsOf } from "./graph.js";

const DONE = { start: "is ready", stop: "has stopped", restart: "is ready again", scale: "is scaled" };
const DOING = { start: "Start", stop: "Stop", restart: "Restart", scale: "Scale" };

/** Commands that are waited for at a time; more would take the connections that a browser has for one server. */
const MOST = 3;

/** Milliseconds that good news stays; bad news stays until it is closed. */
const STAYS = 6000;

/** Carries out commands; `changed()` is called when one begins or ends. */
export class Actions {
  /** Names of components with a command under way, and its verb. */
  busy = new Map();
  #notices = document.getElementById("notices");
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  /** Asks for confirmation where others depend on the component, then carries the command out. */
  async run(verb, name, state, query = {}) {
    if (verb !== "start" && verb !== "scale" && !(await confirmed(verb, name, dependentsOf(state.picture.graph, name)))) return;
    if (this.busy.size >= MOST) {
      this.#say("bad", `${DOING[verb]} of ${name}: not sent, ${counted(this.busy.size, "command")} are under way`, "wait for one of them");
      return;
    }
    this.busy.set(name, verb);
    this.#changed();
    try {
      await command(name, verb, query);
      this.#say("good", `${name} ${DONE[verb]}`);
    } catch (error) {
      this.#say("bad", ...explained(error, verb, name));
    } finally {
      this.busy.delete(name);
      this.#changed();
    }
  }

  #say(kind, message, hint = "") {
    const close = h("button", { type: "button", "aria-label": "Close this message", click: () => notice.remove() }, "×");
    const text = h("div", {}, h("p", {}, message), hint ? h("p", { class: "hint" }, `hint: ${hint}`) : null);
    const notice = h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, text, close);
    this.#notices.append(notice);
    if (kind === "good") setTimeout(() => notice.remove(), STAYS);
  }
}

function explained(error, verb, name) {
  if (error instanceof Refused) return [error.message, error.hint];
  if (error instanceof SignedOut) return [`cannot ${verb} ${name}: the session has ended`, "launcher dashboard"];
  return [`${verb} of ${name}: the connection was lost before the launcher had answered`, "see its phase"];
}

/** Asks whether a command is meant, and names everybody who depends on the component; nobody does: yes. */
function confirmed(verb, name, dependents) {
  if (dependents.length === 0) return Promise.resolve(true);
  const dialog = document.getElementById("confirm");
  put(document.getElementById("confirm-title"), `${DOING[verb]} ${name}?`);
  const many = dependents.length > 1;
  const [depend, go] = many ? ["depend", "go"] : ["depends", "goes"];
  const who = `${counted(dependents.length, "component")} ${depend} on it, and ${go} on running meanwhile:`;
  put(document.getElementById("confirm-text"), who);
  document.getElementById("confirm-names").replaceChildren(...dependents.map((each) => h("li", {}, each)));
  put(document.getElementById("confirm-yes"), `${DOING[verb]} ${name}`);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
