/** What is drawn, from the status document: blocks of rows, one block for each process that is shared. */

import { duration, milliseconds } from "./format.js";
import { depths, graphOf } from "./graph.js";

/** Phases in the order in which somebody would want to hear of them. */
export const PHASES = "failed backoff unready down starting stopping waiting unknown ready up completed stopped".split(" ");

/** Phases that need somebody to look. */
export const TROUBLE = new Set(["failed", "backoff", "unready", "down"]);

const SHARED = "main";

/** Returns { rows, blocks, graph }: rows by name, blocks as { key, title, rows }. */
export function picture(status) {
  const graph = graphOf(status.components, status.dependencies);
  const depth = depths(graph);
  const nearest = (one, other) => depth.get(one.name) - depth.get(other.name);
  const dependencies = status.dependencies.map(dependencyRow);
  const components = status.components.map(componentRow).sort(nearest);
  const blocks = [{ key: "outside", title: "external dependencies", heads: ["latency", ""], rows: dependencies }];
  blocks.push({ key: "alone", title: "a process each", heads: ["CPU", "memory"], rows: components.filter((row) => !row.host) });
  for (const host of new Set(components.map((row) => row.host).filter(Boolean))) {
    const rows = components.filter((row) => row.host === host);
    const pid = rows.find((row) => row.document.pid)?.document.pid ?? status.launcher.pid;
    const title = host === SHARED ? `the launcher's process, PID ${pid}` : `process ${host}, PID ${pid}`;
    blocks.push({ key: `host ${host}`, title, heads: ["", ""], rows, pid });
  }
  const rows = new Map([...dependencies, ...components].map((row) => [row.name, row]));
  return { rows, blocks: blocks.filter((block) => block.rows.length > 0), graph };
}

function componentRow(document) {
  const own = document.placement === "process" || document.placement === document.name;
  const row = { name: document.name, kind: document.kind, phase: document.phase, document, host: own ? "" : document.placement };
  return { ...row, note: noteOf(document), external: false };
}

function dependencyRow(document) {
  const phase = document.up === null ? "unknown" : document.up ? "up" : "down";
  const note = phase === "down" ? document.reason : "";
  return { name: document.name, kind: document.url, phase, document, host: "", note, external: true };
}

/** Returns in one line what is to be known of a component beyond its phase; empty when all is as it should be. */
function noteOf(document) {
  const parts = [];
  if (document.phase === "backoff" && document.next_attempt_in !== null) {
    parts.push(`next attempt in ${duration(Math.ceil(document.next_attempt_in))}`);
  }
  if (document.waits_for.length > 0) {
    parts.push(`waits for ${document.waits_for.map((wait) => `${wait.name} (${wait.what})`).join(", ")}`);
  }
  const ended = TROUBLE.has(document.phase) && document.last_exit?.message;
  if (ended || (document.reason && document.phase !== "completed")) parts.push(ended || document.reason);
  if (document.loop?.blocked) parts.push(`event loop ${blocking(document.loop)}`);
  if (document.beside) parts.push(document.beside);
  if (document.held) parts.push("its clients are answered with 503");
  return parts.join(" · ");
}

/** Says for how long an event loop has been blocked, and by whom, if that is known. */
export function blocking(loop) {
  return `blocked for ${duration(loop.lag)}${loop.where ? ` at ${loop.where}` : ""}${loop.by ? ` by ${loop.by}` : ""}`;
}

/** Returns how long the last check took, which stands where others have figures. */
export function latencyOf(row) {
  return row.document.latency === null ? "" : milliseconds(row.document.latency);
}

/** Returns whether a row is wanted by a filter: each of its words is the phase, or a part of its name, kind or note. */
export function matches(row, words) {
  const text = `${row.name} ${row.kind} ${row.note}`.toLowerCase();
  return words.every((word) => row.phase === word || (PHASES.includes(word) ? row.name : text).includes(word));
}
