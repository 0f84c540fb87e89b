// A small client of the Connect protocol (https://connectrpc.com/docs/protocol), JSON over fetch; of the page it knows the key.

import { readDetails } from "./details.js";
import { keyHeaders } from "./key.js";

const SERVICE = "/diptych.gateway.v1.GatewayService/";
const TIMEOUT_MS = 120_000;
const FILE_TIMEOUT_MS = 10_000;
const HEADERS = { "connect-protocol-version": "1", "connect-timeout-ms": String(TIMEOUT_MS), "diptych-caller": "playground" };
const END_OF_STREAM = 0b10;

/** A call that failed: `code` as gRPC writes it; the rest where it is known. */
export class CallError extends Error {
  constructor(code, message, more = {}) {
    super(message);
    this.code = code;
    Object.assign(this, { reason: "", field: "", remedy: "", retrySeconds: null, requestId: "" }, more);
  }
}

/** A JSON file of the page. */
export async function get(path) {
  const response = await during(fetch(path, { signal: AbortSignal.timeout(FILE_TIMEOUT_MS) }));
  if (!response.ok) {
    throw lost(`HTTP ${response.status} for ${path}`);
  }
  return during(response.json());
}

/** The answer of a unary call; `signal` aborts it. */
export async function call(method, request, signal) {
  const response = await send(method, "application/json", JSON.stringify(request), signal);
  const requestId = response.headers.get("trailer-x-request-id") ?? "";
  const text = await during(response.text(), signal);
  if (!response.ok) {
    throw refused(response, text, requestId);
  }
  return JSON.parse(text);
}

/** The answers of a call that streams, as they come. */
export async function* stream(method, request, signal) {
  const message = new TextEncoder().encode(JSON.stringify(request));
  const body = new Uint8Array(5 + message.length); // one byte of flags, four of length, the message
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  const response = await send(method, "application/connect+json", body, signal);
  if (!response.ok || !response.body) {
    throw refused(response, await during(response.text(), signal), "");
  }
  for await (const [flags, text] of envelopes(response.body.getReader(), signal)) {
    if (flags & END_OF_STREAM) {
      const end = JSON.parse(text || "{}");
      if (end.error) {
        throw callError(end.error, end.metadata?.["x-request-id"]?.[0] ?? "");
      }
      return;
    }
    yield JSON.parse(text);
  }
  throw lost("the connection ended in the middle of the answer");
}

async function* envelopes(reader, signal) {
  let rest = new Uint8Array();
  try {
    for (;;) {
      while (rest.length >= 5) {
        const end = 5 + new DataView(rest.buffer, rest.byteOffset).getUint32(1);
        if (rest.length < end) {
          break;
        }
        yield [rest[0], new TextDecoder().decode(rest.subarray(5, end))];
        rest = rest.subarray(end);
      }
      const { done, value } = await during(reader.read(), signal);
      if (done) {
        return;
      }
      const joined = new Uint8Array(rest.length + value.length);
      joined.set(rest);
      joined.set(value, rest.length);
      rest = joined;
    }
  } finally {
    reader.cancel().catch(() => {}); // ends the call where its answers are no longer wanted
  }
}

function send(method, contentType, body, signal) {
  const headers = { ...HEADERS, ...keyHeaders(), "content-type": contentType };
  return during(fetch(SERVICE + method, { method: "POST", headers, body, signal, cache: "no-store" }), signal);
}

/** A promise of the network; its failures are ours to name, an abort stays one. */
async function during(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    signal?.throwIfAborted();
    throw lost(error.message);
  }
}

function lost(message) {
  return new CallError("UNAVAILABLE", `The gateway does not answer: ${message}`, { reason: "UNREACHABLE" });
}

function refused(response, text, requestId) {
  try {
    return callError(JSON.parse(text), requestId);
  } catch {
    return new CallError("UNKNOWN", `HTTP ${response.status}: ${text.trim() || response.statusText}`);
  }
}

function callError(error, requestId) {
  const code = error.code === "canceled" ? "CANCELLED" : error.code.toUpperCase();
  return new CallError(code, error.message ?? "", { requestId, ...readDetails(error.details ?? []) });
}
