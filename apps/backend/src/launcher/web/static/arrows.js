/** Arrows from what is needed to those who need it, in the margin of the list. */

import { attribute, svg } from "./dom.js";
import { lanes } from "./graph.js";

const LANE = 9;
const HEAD = 5;
const MARGIN = 10;

/** Draws into an SVG element that covers the margin of `map`, whose width it sets. */
export class Arrows {
  #map;
  #trunks = svg("path", { class: "trunk", fill: "none" });
  #heads = svg("path", { class: "heads" });
  #needs = svg("path", { class: "needs", fill: "none" });
  #neededBy = svg("path", { class: "needed-by", fill: "none" });
  #canvas;

  constructor(canvas, map) {
    this.#canvas = canvas;
    this.#map = map;
    canvas.append(this.#trunks, this.#heads, this.#neededBy, this.#needs);
  }

  /**
   * Draws anew. `elements` are the visible rows by name, from top to bottom; `marked` is the name whose arrows stand out.
   * All places are read before anything is written, so that a hundred rows cost one layout.
   */
  draw(elements, graph, marked) {
    const most = this.#map.clientWidth < 500 ? 3 : 10;
    const { trunks, count } = lanes(graph, [...elements.keys()], most);
    const width = count ? count * LANE + MARGIN : 0;
    const height = new Map([...elements].map(([name, row]) => [name, row.offsetTop + Math.min(15, row.offsetHeight / 2)]));
    this.#map.style.setProperty("--gutter", `${width}px`);
    attribute(this.#canvas, "width", width);
    attribute(this.#canvas, "height", this.#map.scrollHeight);
    const lane = new Map(trunks.map((trunk) => [trunk.name, width - MARGIN - trunk.lane * LANE]));
    const edge = (from, to) => bracket(lane.get(from) ?? width - MARGIN, height.get(from), height.get(to), width);
    const seen = (names) => names.filter((name) => height.has(name));
    attribute(this.#trunks, "d", trunks.flatMap(({ name, ends }) => ends.map((end) => edge(name, end))).join(""));
    attribute(this.#heads, "d", [...new Set(trunks.flatMap(({ ends }) => ends))].map((end) => head(width, height.get(end))).join(""));
    const shown = height.has(marked);
    attribute(this.#needs, "d", shown ? seen(graph.needs.get(marked)).map((name) => edge(name, marked)).join("") : "");
    attribute(this.#neededBy, "d", shown ? seen(graph.neededBy.get(marked)).map((name) => edge(marked, name)).join("") : "");
  }
}

function bracket(lane, from, to, width) {
  const turn = Math.min(4, Math.abs(to - from) / 2) * Math.sign(to - from);
  const round = Math.abs(turn);
  const out = `M${width} ${from}H${lane + round}Q${lane} ${from} ${lane} ${from + turn}`;
  return `${out}V${to - turn}Q${lane} ${to} ${lane + round} ${to}H${width - HEAD}`;
}

function head(width, y) {
  return `M${width} ${y}l-${HEAD} -3v6z`;
}
