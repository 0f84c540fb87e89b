// Painted pictures on the wall: a place for each, filled as it comes, with what can be done with it.

import { bytes } from "./details.js";
import { byId, copy, icon, make } from "./dom.js";
import { hold } from "./held.js";
import { seedButton } from "./seeds.js";

const ENDINGS = { IMAGE_FORMAT_PNG: "png", IMAGE_FORMAT_JPEG: "jpeg", IMAGE_FORMAT_WEBP: "webp" };
const NAME_CHARACTERS = 60;

/** A painted picture of an answer, with a file that can be shown and saved. */
export function toPicture(painted, prompt) {
  const ending = ENDINGS[painted.image.format] ?? "png";
  const blob = new Blob([bytes(painted.image.data)], { type: `image/${ending}` });
  return {
    prompt,
    blob,
    url: URL.createObjectURL(blob),
    name: fileName(prompt, painted.seed ?? "0", ending === "jpeg" ? "jpg" : ending),
    seed: painted.seed ?? "0", // proto JSON leaves zeros out
    similarity: painted.similarity ?? null,
    width: painted.image.width ?? 64,
    height: painted.image.height ?? 64,
  };
}

/** `a-black-cat-7.png` for "A black cat!" and seed 7, as the command line names files. */
function fileName(prompt, seed, ending) {
  const words = prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim().split(" ").join("-");
  return `${[...words].slice(0, NAME_CHARACTERS).join("") || "picture"}-${seed}.${ending}`;
}

export class Gallery {
  #wall = byId("gallery");
  #hung = []; // by place, with gaps
  #before = [];

  /** `onDescribe(picture)` and `onSeed(seed)` are called from a picture's buttons. */
  constructor({ onDescribe, onSeed }) {
    this.onDescribe = onDescribe;
    this.onSeed = onSeed;
  }

  /** Empty places for `count` pictures to come. */
  prepare(count) {
    this.#before = this.#hung.filter(Boolean);
    this.#hung = [];
    this.#size(count);
    this.#wall.replaceChildren(
      ...Array.from({ length: count }, () =>
        make("li", { class: "print waiting", "aria-hidden": "true" }, make("div", { class: "mat" })),
      ),
    );
  }

  /** Hangs a picture at its place. */
  hang(index, picture) {
    this.#hung[index] = picture;
    this.#wall.children[index]?.replaceWith(this.#print(picture));
    this.#hold();
  }

  /** Takes the places away that stayed empty; where all did, what hung before comes back. */
  settle() {
    if (!this.#hung.some(Boolean)) {
      return this.show(this.#before);
    }
    this.#before = [];
    this.#wall.querySelectorAll(".waiting").forEach((place) => place.remove());
    this.#size(this.#wall.children.length);
    this.#hold();
  }

  /** Shows these pictures, and nothing else. */
  show(pictures) {
    [this.#hung, this.#before] = [pictures, []];
    this.#size(pictures.length);
    this.#wall.replaceChildren(...pictures.map((picture) => this.#print(picture)));
    this.#hold();
  }

  #hold() {
    hold(this, [...this.#hung.filter(Boolean), ...this.#before]);
  }

  #size(count) {
    this.#wall.dataset.size = count > 4 ? "small" : count > 1 ? "medium" : "large";
    byId("paint-rest").hidden = count > 0;
  }

  #print(picture) {
    const about = `“${picture.prompt}”, seed ${picture.seed}`;
    const image = make("img", { src: picture.url, width: picture.width, height: picture.height, alt: about });
    const seed = seedButton(picture.seed, this.onSeed);
    const similarity =
      picture.similarity === null
        ? null
        : make("span", { class: "similarity", title: "Cosine similarity to the prompt" }, `≈ ${picture.similarity.toFixed(2)}`);
    const download = make("a", { class: "tool", href: picture.url, download: picture.name, title: "Download" }, icon("download"));
    download.setAttribute("aria-label", `Download ${picture.name}`);
    const describe = tool("describe", "Describe", `Describe ${about}`, () => this.onDescribe(picture));
    const copySeed = tool("copy", "Copy seed", `Copy seed ${picture.seed}`, (event) => copy(picture.seed, event.currentTarget));
    return make(
      "li",
      { class: "print" },
      make("div", { class: "mat" }, image),
      make("div", { class: "plate" }, seed, similarity),
      make("div", { class: "tools" }, download, describe, copySeed),
    );
  }
}

function tool(name, title, label, click) {
  return make("button", { class: "tool", type: "button", title, "aria-label": label, on: { click } }, icon(name));
}
