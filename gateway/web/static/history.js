// What was done on this visit, newest first, kept in memory; a click brings it back.

import { byId, counted, languageOf, make } from "./dom.js";

const MOST = 40;

export class History {
  #list = byId("history");

  /**
   * Adds an entry.
   * `verb`: "Painted" or "Described"; `words`: the prompt or caption; `picture`: URL of its first picture;
   * `pictures`: how many; `restore`: brings it back.
   */
  add({ verb, words, picture, pictures, restore }) {
    byId("visit").hidden = false;
    const button = make(
      "button",
      { class: "memory", type: "button", "aria-label": `${verb}: ${words}, ${counted(pictures, "picture")}. Bring back.` },
      make("img", { src: picture, alt: "", width: 64, height: 64 }),
      make(
        "span",
        { class: "memory-text" },
        make("span", { class: "memory-words", lang: languageOf(words) }, words),
        make("span", { class: "memory-verb" }, pictures > 1 ? `${verb} · ${pictures}` : verb),
      ),
    );
    button.addEventListener("click", () => {
      for (const other of this.#list.querySelectorAll("[aria-current]")) {
        other.removeAttribute("aria-current");
      }
      button.setAttribute("aria-current", "true");
      restore();
    });
    this.#list.prepend(make("li", {}, button));
    while (this.#list.children.length > MOST) {
      this.#list.lastElementChild.remove();
    }
  }
}
