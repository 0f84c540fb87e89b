// A description on the page: captions with their scores, labels of each head with bars.

import { make } from "./dom.js";
import { seedButton } from "./seeds.js";

/** From here on a label of a head that gives any number of them is likelier than not. */
const LIKELY = 0.5;

/**
 * Shows `{language, captions, seed, heads, own}` in `place`: `seed` of sampled captions or null, `heads` as `inOrder`
 * gives them, one alone without a name. A caption's button calls `onPaint(text)`, the seed's `onSeed(seed)`.
 */
export function showWords(place, { language, captions, seed, heads, own }, { onPaint, onSeed }) {
  const alone = own ? "Among the model’s own" : "Labels";
  place.replaceChildren(
    captionList(captions, seed, language, { onPaint, onSeed }),
    ...(own ? [labelList({ title: "Among your labels", labels: own }, null)] : []),
    make("div", { class: "heads" }, ...heads.map((head) => labelList({ title: head.name ? titleOf(head.name) : alone, ...head }, language))),
  );
}

/** `Objects` of "objects". */
const titleOf = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll(/[-_]/g, " ");

function captionList(captions, seed, language, { onPaint, onSeed }) {
  const item = ({ text, score = 0 }) =>
    make(
      "li",
      { class: "caption" },
      make("span", { class: "caption-text", lang: language }, text),
      make("span", { class: "score", title: "Mean log-probability a token; nearer to 0 is surer" }, score.toFixed(2).replace("-", "−")),
      make("button", { class: "chip", type: "button", "aria-label": `Paint “${text}”`, on: { click: () => onPaint(text) } }, "Paint this"),
    );
  return make(
    "section",
    {},
    make("div", { class: "words-head" }, make("h4", {}, seed === null ? "Captions" : "Captions, sampled"), seed === null ? null : seedButton(seed, onSeed)),
    captions.length ? make("ol", { class: "captions" }, ...captions.map(item)) : make("p", { class: "hint" }, "The model found none."),
  );
}

/** One head's labels: one of them is right, or each by itself (`multiLabel`); `labelCount` is known of a head with a name. */
function labelList({ title, labels, labelCount, multiLabel = false }, language) {
  const item = ({ text, probability = 0 }, place) => {
    const bar = make("span", { class: "bar-fill" });
    bar.style.setProperty("--part", probability);
    const likely = multiLabel ? probability >= LIKELY : place === 0;
    return make(
      "li",
      { class: likely ? "label likely" : "label" },
      make("span", { class: "label-text", ...(language ? { lang: language } : {}) }, text),
      make("span", { class: "bar", "aria-hidden": "true" }, bar),
      make("span", { class: "percent" }, percent(probability)),
    );
  };
  const of = labelCount?.toLocaleString("en");
  const kind = of ? make("span", { class: "hint" }, multiLabel ? `any of ${of}, each by itself` : `one of ${of}`) : null;
  return make(
    "section",
    {},
    make("div", { class: "words-head" }, make("h4", {}, title), kind),
    make("ol", { class: multiLabel ? "labels each" : "labels" }, ...labels.map(item)),
  );
}

/** `97 %`, `0.3 %`, `< 0.1 %`. */
function percent(part) {
  const number = part * 100;
  if (number < 0.1) {
    return "< 0.1 %";
  }
  return `${number < 9.95 ? number.toFixed(1) : Math.round(number)} %`;
}
