// What a form says, refused before it is sent where the page can know; in the words of its own controls.

import { CallError } from "./connect.js";
import { byId } from "./dom.js";

/** A refusal by the page: `field` as the gateway would name it, `remedy` for the eye. */
export function invalid(message, field, remedy, reason = "FIELD_INVALID") {
  return new CallError("INVALID_ARGUMENT", message, { reason, field, remedy });
}

/** What is typed into a control; a number field has no value for what is no number. */
export const typed = (control) => (control.validity.badInput ? "no number" : control.value.trim());

/** The number in `text`, from 1 to `most`; `empty` where there is none. */
export function wholeNumber(text, { label, field, most = 999_999, empty }) {
  if (!text && empty !== undefined) {
    return empty;
  }
  if (!/^\d{1,20}$/.test(text) || Number(text) < 1 || Number(text) > most) {
    const range = `a whole number from 1 to ${most}`;
    throw invalid(`${label} is ${text || "empty"}; it must be ${range}`, field, `type ${range} into “${label}”`);
  }
  return Number(text);
}

/** Refuses a text with more than `most` characters, as the gateway counts them. */
export function checkLength(text, most, name, field) {
  const over = [...text].length - most;
  if (over > 0) {
    const remedy = `shorten it by ${over} character${over === 1 ? "" : "s"}`;
    throw invalid(`${name} has ${most + over} characters; the limit is ${most}`, field, remedy, "TEXT_TOO_LONG");
  }
}

/** Marks the control that an error is about, none without one; `controls` are their ids by the gateway's fields. */
export function markInvalid(controls, error = null) {
  for (const [field, id] of Object.entries(controls)) {
    const meant = error?.field?.replace(/\[\d+\]$/, "") === field;
    meant ? byId(id).setAttribute("aria-invalid", "true") : byId(id).removeAttribute("aria-invalid");
    meant && error.remedy && byId(id).focus(); // refused by the page at once, so the eye is still there
  }
}
