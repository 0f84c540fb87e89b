// Seeds: read from a control or drawn, and shown as a button that takes one up again.

import { invalid } from "./checks.js";
import { make } from "./dom.js";

const SEEDS = 2n ** 64n;

/** `count` consecutive seeds from the one in `text`, a random one where it is empty; as text: JavaScript's numbers are too short for them. */
export function toSeeds(text, count, field) {
  // Drawn here rather than by the gateway, so that the commands can say which.
  const first = text || String(crypto.getRandomValues(new Uint32Array(1))[0]);
  const remedy = "type a whole number into “Seed”, or leave it empty for a random one";
  if (!/^\d{1,40}$/.test(first)) {
    throw invalid(`Seed is ${first}; it must be a whole number from 0`, field, remedy);
  }
  if (BigInt(first) + BigInt(count) > SEEDS) {
    const range = `below 2^64${count > 1 ? ", and so must the further ones" : ""}`;
    throw invalid(`Seed is ${first}; it must be ${range}`, field, remedy);
  }
  return Array.from({ length: count }, (_, index) => String(BigInt(first) + BigInt(index)));
}

/** A seed that `use(seed)` takes up. */
export function seedButton(seed, use) {
  return make(
    "button",
    { class: "seed", type: "button", title: "Use this seed", on: { click: () => use(seed) } },
    make("span", { class: "visually-hidden" }, "Use "),
    "seed ",
    make("b", {}, seed),
  );
}
