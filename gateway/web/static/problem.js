// A failed call, in place: what happened, its code and reason, and what to do about it on this page.

import { CallError } from "./connect.js";
import { make } from "./dom.js";
import { showKey } from "./key.js";

const FEWER = "try again in a moment; fewer pictures at once are sooner done";
const LIMITS = "ask for less at once; “This gateway”, at the end of the page, tells the limits";
const KEY = "type your key into “Key”, at the top of the page";
/** Where the gateway's own remedies are for those who write programs. */
const BY_REASON = {
  UNREACHABLE: "see whether the gateway still runs (`diptych up`), then try again",
  MALFORMED_MESSAGE: "reload the page, which may be older than the gateway",
  FIELD_MISSING: "fill it in",
  FIELD_INVALID: "change it",
  TEXT_TOO_LONG: "shorten it",
  TOO_MANY_ITEMS: LIMITS,
  REQUEST_TOO_LARGE: LIMITS,
  LANGUAGE_UNKNOWN: "choose another language",
  IMAGE_UNREADABLE: "choose a PNG, JPEG, WebP, GIF or BMP file",
  IMAGE_DAMAGED: "choose another copy of it, or save it anew from its source",
  IMAGE_TOO_LARGE: "scale it down, or save it as JPEG, and choose it again",
  KEY_MISSING: KEY,
  KEY_UNKNOWN: `${KEY}, whole; or ask who runs this gateway for another`,
  KEY_EXPIRED: "ask who runs this gateway for another key",
  RATE_LIMITED: FEWER,
  CONCURRENCY_LIMITED: FEWER,
  QUEUE_FULL: FEWER,
  QUEUE_TOO_LONG: FEWER,
  DEADLINE_PASSED: FEWER,
  DEADLINE_TOO_SHORT: FEWER,
};
const BY_CODE = { UNAVAILABLE: "try again in a moment; `diptych status` shows what is up", RESOURCE_EXHAUSTED: FEWER, DEADLINE_EXCEEDED: FEWER };
const WORTH_RETRYING = new Set(["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN"]);

/**
 * Shows `error` in `place`.
 * `facts`: those of facts.json; `retry`: does it again; `names`: what the page calls the gateway's fields.
 */
export function showProblem(place, error, { facts, retry, names = {} }) {
  if (!(error instanceof CallError)) {
    console.error(error);
    error = new CallError("INTERNAL", `The page failed: ${error.message}`);
  }
  if (error.code === "UNAUTHENTICATED") {
    showKey(true);
  }
  const remedy = error.remedy || BY_REASON[error.reason] || facts.remedies[error.reason] || BY_CODE[error.code];
  const wait = error.retrySeconds ? ` The server asks to wait ${Math.max(0.1, error.retrySeconds).toFixed(1)} s.` : "";
  const id = error.requestId ? make("span", { class: "tag" }, `call ${error.requestId}`) : null;
  place.replaceChildren(
    make("p", { class: "problem-message" }, sentence(named(error, names))),
    remedy ? make("p", { class: "problem-remedy" }, make("b", {}, "What to do: "), `${remedy}.${wait}`) : wait.trim(),
    make(
      "p",
      { class: "tags" },
      ...[error.code, error.reason, error.field].filter(Boolean).map((tag) => make("span", { class: "tag" }, tag)),
      id,
    ),
  );
  if (retry && WORTH_RETRYING.has(error.code)) {
    place.append(make("button", { class: "quiet", type: "button", on: { click: retry } }, "Try again"));
  }
}

/** Takes it away. */
export function clearProblem(place) {
  place.replaceChildren();
}

/** The message, with the page's name for the field that it begins with: `images[0]: is…` is `cat.png is…`. */
function named({ message, field }, names) {
  const name = names[field.replace(/\[\d+\]$/, "")];
  return name && message.startsWith(field) ? name + message.slice(field.length).replace(/^:/, "") : message;
}

/** With a full stop and a capital, unless it begins with the name of a field or file. */
function sentence(text) {
  const begun = /^[\w-]+[[.:]/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?。]$/.test(begun) ? begun : `${begun}.`;
}
