// What was done on this visit, newest first, kept in memory; a click brings it back.

import { byId, counted, languageOf, make } from "./dom.js";
import { hold } from "./held.js";

const MOST = 40;
const MOST_BYTES = 32 * 1024 * 1024;

export class History {
  #list = byId("history");
  #entries = []; // newest first

  /**
   * Adds an entry; the oldest ones go where it is too many, or too many bytes.
   * `verb`: "Painted" or "Described"; `words`: the prompt or caption; `pictures`: `{blob, url}`; `restore`: brings it back.
   */
  add({ verb, words, pictures, restore }) {
    byId("visit").hidden = false;
    const number = pictures.length;
    const button = make(
      "button",
      { class: "memory", type: "button", "aria-label": `${verb}: ${words}, ${counted(number, "picture")}. Bring back.` },
      make("img", { src: pictures[0].url, alt: "", width: 64, height: 64 }),
      make(
        "span",
        { class: "memory-text" },
        make("span", { class: "memory-words", lang: languageOf(words) }, words),
        make("span", { class: "memory-verb" }, number > 1 ? `${verb} · ${number}` : verb),
      ),
    );
    button.addEventListener("click", () => {
      for (const other of this.#list.querySelectorAll("[aria-current]")) {
        other.removeAttribute("aria-current");
      }
      button.setAttribute("aria-current", "true");
      restore();
    });
    const entry = { item: make("li", {}, button), pictures };
    hold(entry, pictures);
    this.#entries.unshift(entry);
    this.#list.prepend(entry.item);
    while (this.#entries.length > 1 && this.#isTooMuch()) {
      const oldest = this.#entries.pop();
      oldest.item.remove();
      hold(oldest, []);
    }
  }

  #isTooMuch() {
    const pictures = new Set(this.#entries.flatMap((entry) => entry.pictures));
    const size = [...pictures].reduce((sum, { blob }) => sum + blob.size, 0);
    return this.#entries.length > MOST || size > MOST_BYTES;
  }
}
