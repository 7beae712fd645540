/** Sparklines: the last samples of one figure as an SVG line. */

import { attribute, svg } from "./dom.js";

/** Samples kept of each figure; with one every two seconds, five minutes. */
export const KEPT = 150;

/** The last figures of everything that is measured, by name. */
export class History {
  #series = new Map();
  #round = 1;

  /** Adds a sample; null where the figure is not known. */
  add(name, value) {
    const series = this.#series.get(name) ?? { samples: [], round: 0 };
    series.samples.push(value ?? null);
    series.round = this.#round;
    if (series.samples.length > KEPT) series.samples.shift();
    this.#series.set(name, series);
  }

  /** The samples, oldest first. */
  of(name) {
    return this.#series.get(name)?.samples ?? [];
  }

  /** Forgets what got no sample in this round: it is no more. Called after each round. */
  forget() {
    for (const [name, { round }] of this.#series) if (round !== this.#round) this.#series.delete(name);
    this.#round += 1;
  }

  /** Forgets everything: what follows belongs to another launcher. */
  clear() {
    this.#series.clear();
  }
}

/**
 * Returns a chart of the last `span` samples with `show(samples, least)`; `least` is the smallest value that fills its height, so that noise
 * stays flat.
 */
export function sparkline(width, height, label, span) {
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line", fill: "none" });
  const chart = svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, preserveAspectRatio: "none", role: "img", "aria-label": label },
    area,
    line,
  );
  chart.show = (samples, least) => {
    const { path, closed } = outline(samples.slice(-span), width, height, least, span);
    attribute(line, "d", path);
    attribute(area, "d", closed);
  };
  return chart;
}

/** Returns the line through the samples, and the area below it; both have a hole where a sample is missing. */
function outline(samples, width, height, least, span) {
  const top = samples.reduce((most, value) => Math.max(most, value ?? 0), least);
  const step = width / (span - 1);
  const left = width - step * (samples.length - 1);
  let path = "";
  let closed = "";
  let begun = null;
  const x = (place) => (left + place * step).toFixed(1);
  const end = (place) => {
    if (begun !== null) closed += `L${x(place)} ${height}L${x(begun)} ${height}Z`;
    begun = null;
  };
  samples.forEach((value, place) => {
    if (value === null) {
      end(place - 1);
      return;
    }
    const y = (height - 1 - (value / top) * (height - 2)).toFixed(1);
    const to = `${begun === null ? "M" : "L"}${x(place)} ${y}`;
    path += to;
    closed += to;
    begun ??= place;
  });
  end(samples.length - 1);
  return { path, closed };
}
