/** Requests to the launcher, and the streams that it sends. */

/** Longest time without an answer to what needs no waiting, in milliseconds. */
const PATIENCE = 5000;

/** An answer that says no: a message, and a hint what to do. */
export class Refused extends Error {
  constructor(message, hint = "") {
    super(message);
    this.hint = hint;
  }
}

/** The session is not known any more; only a new link helps. */
export class SignedOut extends Error {}

/** Returns the status document. */
export async function status() {
  const response = await answered(fetch("/status", { signal: AbortSignal.timeout(PATIENCE) }));
  return response.json();
}

/**
 * Gives a command to a component and waits until its state is reached.
 * Raises Refused with what the launcher says, SignedOut, or a TypeError when nobody answers.
 */
export async function command(name, verb, query = {}) {
  const parameters = new URLSearchParams(query).toString();
  const path = `/components/${encodeURIComponent(name)}/${verb}${parameters ? `?${parameters}` : ""}`;
  const response = await answered(fetch(path, { method: "POST" }));
  return response.json();
}

/**
 * Yields the messages of an event stream, as { id, event, data }, until the launcher ends it; one without data only moves the id.
 * `lastId` is the last one that was seen: what came after it is sent first.
 */
export async function* stream(path, { lastId = "", signal }) {
  const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
  const response = await answered(fetch(path, { headers, signal }));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const message = parsed(part);
      if (message.data || message.id) yield message;
    }
  }
}

function parsed(text) {
  const message = { id: "", event: "message", data: "" };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue; // a comment, sent so that the connection is not taken for dead
    const field = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") message.data += message.data ? `\n${value}` : value;
    else if (field in message) message[field] = value;
  }
  return message;
}

async function answered(request) {
  const response = await request;
  if (response.ok) return response;
  if (response.status === 401 || response.status === 403) throw new SignedOut();
  const document = await response.json().catch(() => ({}));
  const error = document.error ?? {};
  throw new Refused(error.message ?? `the launcher answered with status ${response.status}`, error.hint ?? "");
}
