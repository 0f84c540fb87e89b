// The key for a gateway that wants one: kept for this tab alone, and sent in a header, never in an address.

import { byId } from "./dom.js";

const STORE = "diptych-key";

/** The headers that say whose call it is; none without a key. */
export function keyHeaders() {
  const key = currentKey();
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** Whether there is a key. */
export const hasKey = () => Boolean(currentKey());

function currentKey() {
  try {
    return sessionStorage.getItem(STORE) ?? "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

/** Lets a key be typed, and forgotten; `onChange` is called then. */
export function offerKey(onChange) {
  const field = byId("key");
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) {
      use(field.value.trim());
    }
  });
  byId("key-forget").addEventListener("click", () => use(""));
  showKey();

  function use(key) {
    key ? sessionStorage.setItem(STORE, key) : sessionStorage.removeItem(STORE);
    field.value = "";
    showKey();
    onChange();
  }
}

/** Shows the form where a key is in use, or `wanted`. */
export function showKey(wanted = false) {
  byId("key-form").hidden = !(wanted || hasKey());
  byId("key-forget").hidden = !hasKey();
  byId("key").placeholder = hasKey() ? "in use" : "";
}
