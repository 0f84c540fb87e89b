// A description on the page: captions with their scores, labels with bars.

import { make } from "./dom.js";

/** Shows `{language, captions, labels, own}` in `place`; `onPaint(text)` is called from a caption's button. */
export function showWords(place, { language, captions, labels, own }, onPaint) {
  place.replaceChildren(
    captionList(captions, language, onPaint),
    ...(own ? [labelList("Among your labels", own, null)] : []),
    labelList(own ? "Among the model’s own" : "Labels", labels, language),
  );
}

function captionList(captions, language, onPaint) {
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
    make("h4", {}, "Captions"),
    captions.length ? make("ol", { class: "captions" }, ...captions.map(item)) : make("p", { class: "hint" }, "The model found none."),
  );
}

function labelList(title, labels, language) {
  const item = ({ text, probability = 0 }) => {
    const bar = make("span", { class: "bar-fill" });
    bar.style.setProperty("--part", probability);
    return make(
      "li",
      { class: "label" },
      make("span", { class: "label-text", ...(language ? { lang: language } : {}) }, text),
      make("span", { class: "bar", "aria-hidden": "true" }, bar),
      make("span", { class: "percent" }, percent(probability)),
    );
  };
  return make("section", {}, make("h4", {}, title), make("ol", { class: "labels" }, ...labels.map(item)));
}

/** `97 %`, `0.3 %`, `< 0.1 %`. */
function percent(part) {
  const number = part * 100;
  if (number < 0.1) {
    return "< 0.1 %";
  }
  return `${number < 9.95 ? number.toFixed(1) : Math.round(number)} %`;
}
