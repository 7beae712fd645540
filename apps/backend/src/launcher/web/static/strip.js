/** The past of one component as a strip: the better it was, the higher; the phase is told by height and colour. */

import { attribute, h, keyed, put, svg } from "./dom.js";
import { duration } from "./format.js";

/** Longest time shown, in milliseconds. */
const SPAN = 10 * 60 * 1000;

const HEIGHT = 26;
const WIDTH = 600;

const LEVEL = {
  ready: 1,
  completed: 1,
  unready: 0.7,
  starting: 0.5,
  stopping: 0.4,
  waiting: 0.25,
  backoff: 0.25,
  failed: 0.08,
  stopped: 0.08,
};

/** A strip; `show(changes, now)` draws changes, oldest first, as { time, after } in milliseconds. */
export class Strip {
  #canvas = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": "Phases so far" });
  #from = h("span");
  element = h("div", { class: "strip" }, this.#canvas, h("div", { class: "axis" }, this.#from, h("span", {}, "now")));

  show(changes, now) {
    this.element.hidden = changes.length === 0;
    if (changes.length === 0) return;
    const begin = Math.max(now - SPAN, changes[0].time);
    const scale = WIDTH / Math.max(1, now - begin);
    const pieces = changes
      .map(({ time, after }, place) => ({ place, after, from: Math.max(begin, time), to: changes[place + 1]?.time ?? now }))
      .filter(({ from, to }) => to > from);
    keyed(this.#canvas, pieces, ({ place }) => place, () => {
      const piece = svg("rect", { fill: "currentColor" });
      piece.update = ({ after, from, to }) => {
        const height = HEIGHT * (LEVEL[after] ?? 0.25);
        const [x, width] = [(from - begin) * scale, Math.max(1, (to - from) * scale)];
        const box = { "data-phase": after, x: x.toFixed(1), width: width.toFixed(1), y: HEIGHT - height, height };
        for (const [name, value] of Object.entries(box)) attribute(piece, name, value);
      };
      return piece;
    });
    put(this.#from, `${duration((now - begin) / 1000)} ago`);
  }
}
