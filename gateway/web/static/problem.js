// A failed call, in place: what happened, its code and reason, and what to do about it.

import { CallError } from "./connect.js";
import { make } from "./dom.js";

const BY_CODE = {
  UNAVAILABLE: "try again in a moment; `diptych status` shows what is up",
  RESOURCE_EXHAUSTED: "try again in a moment, or send less at once",
  DEADLINE_EXCEEDED: "try again, with fewer pictures at once",
};
const BY_REASON = { UNREACHABLE: "see whether the gateway still runs (`diptych up`), then try again" };
const WORTH_RETRYING = new Set(["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN"]);

/** Shows `error` in `place`; `facts` are those of facts.json, `retry` does it again. */
export function showProblem(place, error, facts, retry) {
  if (!(error instanceof CallError)) {
    console.error(error);
    error = new CallError("INTERNAL", `The page failed: ${error.message}`);
  }
  const remedy = BY_REASON[error.reason] ?? facts.remedies[error.reason] ?? BY_CODE[error.code];
  const wait = error.retrySeconds ? ` The server asks to wait ${Math.max(0.1, error.retrySeconds).toFixed(1)} s.` : "";
  const id = error.requestId ? make("span", { class: "tag" }, `call ${error.requestId}`) : null;
  place.replaceChildren(
    make("p", { class: "problem-message" }, sentence(error.message)),
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

/** With a full stop, and a capital unless it begins with the name of a field. */
function sentence(text) {
  const begun = /^[a-z_]+[[:.]/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?。]$/.test(begun) ? begun : `${begun}.`;
}
