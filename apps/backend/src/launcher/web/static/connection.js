/** The connection to the launcher: asks for the status, follows the events, and comes back by itself. */

import { SignedOut, status, stream } from "./api.js";

/** Milliseconds between two looks at the status while somebody looks at the page, and while nobody does. */
const PERIOD = 2000;
const HIDDEN_PERIOD = 10_000;

/** Milliseconds from a transition to a look at the status: those that come together cost one look. */
const SETTLE = 60;

/** Milliseconds before a new attempt: the first, and the longest after several. */
const FIRST_RETRY = 250;
const LONGEST_RETRY = 4000;

/**
 * Calls back with what it learns:
 * `status(document)`, `transition(data)`, `gap(data)`, and `changed(kind)` with "connected", "disconnected" or "signed-out".
 *
 * A hidden page holds no stream: a browser opens six connections to one server, for all its tabs together.
 */
export class Connection {
  #to;
  #kind = "connecting";
  #lastId = "";
  #retry = FIRST_RETRY;
  #asking = null;
  #again = false;
  #soon = 0;
  #following = new AbortController();

  constructor(callbacks) {
    this.#to = callbacks;
  }

  /** Connects, and stays with it. */
  start() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#following.abort();
      else this.refresh().catch(() => {});
    });
    this.#follow();
    this.#poll();
  }

  get connected() {
    return this.#kind === "connected";
  }

  /** Asks for the status; while one question is under way, one more follows it, however many ask. */
  async refresh() {
    if (this.#asking) {
      this.#again = true;
      return this.#asking;
    }
    this.#asking = this.#look();
    try {
      await this.#asking;
    } finally {
      this.#asking = null;
      if (this.#again) {
        this.#again = false;
        this.#refreshSoon();
      }
    }
  }

  async #look() {
    try {
      const document = await status();
      this.#change("connected");
      this.#to.status(document);
    } catch (error) {
      this.#change(error instanceof SignedOut ? "signed-out" : "disconnected");
      this.#following.abort();
      throw error;
    }
  }

  async #poll() {
    for (;;) {
      await pause(document.hidden ? HIDDEN_PERIOD : PERIOD);
      if (this.connected || document.hidden) await this.refresh().catch(() => {});
    }
  }

  async #follow() {
    for (;;) {
      await visible();
      this.#following = new AbortController();
      try {
        await this.refresh();
        this.#retry = FIRST_RETRY;
        const options = { lastId: this.#lastId, signal: this.#following.signal };
        for await (const message of stream("/events", options)) this.#take(message);
        this.#change("disconnected");
      } catch (error) {
        if (error instanceof SignedOut) this.#change("signed-out");
        else if (!document.hidden) this.#change("disconnected");
      }
      if (document.hidden) continue;
      await pause(this.#kind === "signed-out" ? LONGEST_RETRY : this.#retry);
      this.#retry = Math.min(LONGEST_RETRY, this.#retry * 2);
    }
  }

  #take(message) {
    this.#lastId = message.id || this.#lastId;
    if (!message.data) return;
    const data = JSON.parse(message.data);
    if (message.event === "gap") this.#to.gap(data);
    else if (message.event === "transition") this.#to.transition(data);
    this.#refreshSoon();
  }

  #refreshSoon() {
    if (this.#soon) return;
    this.#soon = setTimeout(() => {
      this.#soon = 0;
      this.refresh().catch(() => {});
    }, SETTLE);
  }

  #change(kind) {
    if (kind === this.#kind) return;
    this.#kind = kind;
    this.#to.changed(kind);
  }
}

/** Returns after some milliseconds. */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}
