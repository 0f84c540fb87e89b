// What the gateway says of itself: whether it can do everything, its models, languages, spaces and limits.

import { byId, make } from "./dom.js";

const MEBI = 1024 * 1024;
const JOBS = { text: "reads prompts", classification: "looks at pictures", generation: "paints", captioning: "writes captions" };

/** A gateway that leaves out what is 0 or empty, as proto JSON does, filled up to what the page reads. */
export function completed({ limits = {}, spaces = [], languages = [], services = [], ...rest }, facts) {
  return { ...rest, limits: { ...facts.limits, ...limits }, spaces, languages, services };
}

/** Whether each service serves and all share a space, in a word and a sentence. */
export function showHealth({ services, spaces }) {
  const down = services.filter(({ replicas = [] }) => !replicas.some(({ serving }) => serving)).map(({ name }) => name);
  const state = down.length ? "partly" : spaces.length ? "ready" : "mixed";
  const told = { partly: `${down.join(", ")} not serving`, ready: "Ready", mixed: "Models do not fit together" }[state];
  setHealth(state, told);
}

/** The word in the page's head. */
export function setHealth(state, text) {
  byId("health").dataset.state = state;
  byId("health-text").textContent = text;
}

/** Shows what the gateway is made of. */
export function showAbout(capabilities) {
  const { diptychVersion = "", limits, spaces, languages, services, inputFormats = [] } = capabilities;
  byId("about-body").replaceChildren(
    make("ul", { class: "services" }, ...services.map(service)),
    make(
      "dl",
      { class: "facts" },
      ...fact("Diptych", diptychVersion),
      ...fact("Joint spaces", spaces.join(", ") || "none in common"),
      ...fact("Languages", languages.join(", ")),
      ...fact("Pictures in", `${inputFormats.join(", ")}; up to ${Number(limits.imageBytes) / MEBI} MiB and ${limits.imageSide} pixels a side`),
      ...fact("A call", `${limits.promptCharacters} characters a prompt, ${limits.images} pictures, ${limits.labels} labels`),
    ),
  );
}

function service({ name, models = [], replicas = [] }) {
  const serving = replicas.filter((replica) => replica.serving).length;
  const reasons = replicas.filter(({ reason }) => reason).map(({ address, reason }) => `${address}: ${reason}`);
  return make(
    "li",
    { class: "service", "data-state": serving ? "ready" : "partly" },
    make("h3", {}, name, make("span", { class: "hint" }, ` ${JOBS[name] ?? ""}`)),
    ...models.flatMap(({ model = {}, heads = [] }) => [
      make("p", { class: "model" }, `${model.name} ${model.version}`, make("code", { title: model.digest }, model.digest?.slice(0, 12) ?? "")),
      ...(heads.length ? [make("p", { class: "hint" }, `Labels: ${heads.map(({ name, labelCount = 0 }) => `${name} ${labelCount.toLocaleString("en")}`).join(", ")}`)] : []),
    ]),
    make("p", { class: "hint" }, `${serving} of ${replicas.length} serving`),
    ...reasons.map((reason) => make("p", { class: "hint" }, reason)),
  );
}

const fact = (name, value) => (value ? [make("div", {}, make("dt", {}, name), make("dd", {}, value))] : []);
