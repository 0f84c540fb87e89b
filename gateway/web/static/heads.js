// The heads of the classifier behind the gateway: which there are, how they are asked, and in which order they are shown.

import { call } from "./connect.js";

/** Stands in a request for the head that says what the picture is of: things of a scene, or one thing. */
const CONTENT = "content";

/**
 * The heads, `{name, labelCount, multiLabel}`, that every classification model has, since any of them may be asked;
 * null where no model has told. `services`: of GetCapabilities.
 */
export function commonHeads(services = []) {
  const models = services.find(({ name }) => name === "classification")?.models ?? [];
  const told = models.filter(({ maxItems }) => maxItems).map(({ heads = [] }) => heads); // others are told by name alone
  const [first = null, ...others] = told;
  return first && first.filter(({ name }) => others.every((heads) => heads.some((head) => head.name === name)));
}

/** `commonHeads` of now. */
export async function askForHeads(signal) {
  return commonHeads((await call("GetCapabilities", {}, signal)).services);
}

/** What a request says of these heads; nothing where there is no choice. */
export const askedOf = (heads) => (heads?.length > 1 ? { heads: [CONTENT, ...heads.map(({ name }) => name)] } : {});

/** Of an answer to that, each head `{name, labelCount, multiLabel, labels}`, first the one that CONTENT stood for. */
export function inOrder([content, ...answered], heads) {
  const isContent = ({ head }) => head === content.head;
  return [...answered.filter(isContent), ...answered.filter((each) => !isContent(each))].map(({ head, labels = [] }) => ({
    ...heads.find(({ name }) => name === head),
    labels,
  }));
}
