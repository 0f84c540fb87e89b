// The left panel: a prompt becomes pictures, one by one.

import { paintCommands, showCommands } from "./commands.js";
import { CallError, stream } from "./connect.js";
import { announce, byId, counted, languageOf, make } from "./dom.js";
import { Gallery, toPicture } from "./gallery.js";
import { clearProblem, showProblem } from "./problem.js";
import { Work } from "./work.js";

const SUGGESTIONS = ["a black cat", "一只黑猫", "strawberry", "一朵花", "a house", "太阳"];
const SEEDS = 2n ** 64n;
const FORMATS = { IMAGE_FORMAT_PNG: "PNG", IMAGE_FORMAT_JPEG: "JPEG", IMAGE_FORMAT_WEBP: "WebP" };
const FIELDS = ["prompt", "count", "candidates", "seed", "format", "quality"];

export class PaintPanel {
  #work = new Work("paint");
  #problem = byId("paint-problem");
  #fields = Object.fromEntries(FIELDS.map((name) => [name, byId(name)]));
  #promptLimit = 500;

  constructor({ facts, history, onDescribe }) {
    this.facts = facts;
    this.history = history;
    this.gallery = new Gallery({ onDescribe, onSeed: (seed) => this.#useSeed(seed) });
    const { prompt, format } = this.#fields;
    byId("paint-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#work.busy || this.paint();
    });
    prompt.addEventListener("keydown", (event) => {
      // While an input method composes, Enter belongs to it.
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        byId("paint-form").requestSubmit();
      }
    });
    prompt.addEventListener("input", () => this.#noteFields());
    format.addEventListener("change", () => this.#noteFields());
    byId("suggestions").append(...SUGGESTIONS.map((text) => make("li", {}, this.#suggestion(text))));
    this.offerFormats(Object.keys(FORMATS));
    this.#noteFields();
  }

  /** What the gateway says it takes. */
  limit(capabilities) {
    this.#promptLimit = capabilities.limits.promptCharacters;
    this.#fields.count.max = this.#fields.candidates.max = capabilities.limits.images;
    this.offerFormats(capabilities.outputFormats ?? []);
    this.#noteFields();
  }

  offerFormats(names) {
    const { format } = this.#fields;
    const chosen = format.value;
    format.replaceChildren(...names.map((name) => make("option", { value: name }, FORMATS[name] ?? name)));
    format.value = names.includes(chosen) ? chosen : (names[0] ?? "");
  }

  /** Puts words into the prompt, and the focus there. */
  propose(text) {
    this.#fields.prompt.value = text;
    this.#noteFields();
    this.#fields.prompt.focus();
  }

  /** Paints what the form says. */
  async paint() {
    clearProblem(this.#problem);
    this.#fields.prompt.removeAttribute("aria-invalid");
    const values = Object.fromEntries(FIELDS.map((name) => [name, this.#fields[name].value]));
    const pictures = [];
    let request = null;
    try {
      request = toRequest(values);
      const finished = await this.#work.run((signal, tell) => this.#receive(request, pictures, signal, tell));
      finished || announce(`Cancelled with ${counted(pictures.filter(Boolean).length, "picture")}`);
    } catch (error) {
      showProblem(this.#problem, error, this.facts, () => this.paint());
      error.field === "prompt" && this.#fields.prompt.setAttribute("aria-invalid", "true");
    }
    if (request && !this.#work.busy) {
      this.gallery.settle();
      this.#remember(values, request, pictures.filter(Boolean));
    }
  }

  async #receive(request, pictures, signal, tell) {
    const wanted = request.imageCount;
    this.gallery.prepare(Math.min(wanted, Number(this.#fields.count.max)));
    this.#showCommands(request);
    tell(request.candidates ? `Painting ${request.candidates} to choose from…` : "Painting…");
    for await (const answer of stream("StreamTextToImage", request, signal)) {
      const index = answer.index ?? 0; // proto JSON leaves zeros out
      pictures[index] = toPicture(answer.image, request.prompt);
      this.gallery.hang(index, pictures[index]);
      const done = pictures.filter(Boolean).length;
      tell(`${done} of ${counted(wanted, "picture")}`, done, wanted);
    }
    announce(`${counted(pictures.length, "picture")} painted`);
  }

  #showCommands(request) {
    showCommands(paintCommands(this.facts, request), "These paint the same pictures again, pixel for pixel.");
  }

  #remember(values, request, pictures) {
    if (pictures.length) {
      const restore = () => this.#restore(values, request, pictures);
      this.history.add({ verb: "Painted", words: values.prompt, picture: pictures[0].url, pictures: pictures.length, restore });
    }
  }

  #restore(values, request, pictures) {
    this.#work.cancel();
    clearProblem(this.#problem);
    Object.entries(values).forEach(([name, value]) => (this.#fields[name].value = value));
    this.#noteFields();
    this.gallery.show(pictures);
    this.#showCommands(request);
    byId("gallery-title").focus();
  }

  #useSeed(seed) {
    this.#fields.seed.value = seed;
    this.#fields.seed.focus();
  }

  #suggestion(text) {
    const button = make("button", { class: "chip", type: "button", lang: languageOf(text) }, text);
    button.addEventListener("click", () => this.propose(text));
    return button;
  }

  #noteFields() {
    const { prompt, format, quality } = this.#fields;
    const length = [...prompt.value].length;
    prompt.lang = languageOf(prompt.value);
    byId("prompt-count").textContent = length ? `${length} / ${this.#promptLimit}` : "";
    byId("prompt-count").classList.toggle("over", length > this.#promptLimit);
    byId("quality-field").hidden = format.value === "IMAGE_FORMAT_PNG";
    quality.disabled = format.value === "IMAGE_FORMAT_PNG";
  }
}

function toRequest({ prompt, count, candidates, seed, format, quality }) {
  const imageCount = wholeNumber(count || "1", "Pictures", "image_count");
  const painted = candidates ? wholeNumber(candidates, "Choose from", "candidates") : imageCount;
  return {
    prompt,
    imageCount,
    seeds: toSeeds(seed.trim(), painted),
    ...(candidates ? { candidates: painted } : {}),
    ...(format ? { format } : {}),
    ...(quality && format !== "IMAGE_FORMAT_PNG" ? { quality: wholeNumber(quality, "Quality", "quality") } : {}),
  };
}

function wholeNumber(text, label, field) {
  if (!/^0*[1-9]\d{0,5}$/.test(text)) {
    throw invalid(`${label} is ${text}; it must be a whole number, 1 or more`, field);
  }
  return Number(text);
}

/** Consecutive seeds, as text: JavaScript's numbers are too short for them. */
function toSeeds(text, count) {
  // Drawn here rather than by the gateway, so that the commands can say which.
  const first = text || String(crypto.getRandomValues(new Uint32Array(1))[0]);
  if (!/^\d+$/.test(first) || BigInt(first) + BigInt(count) > SEEDS) {
    throw invalid(`Seed is ${first}; it must be a whole number from 0, and with all further ones below 2^64`, "seeds");
  }
  return Array.from({ length: count }, (_, index) => String(BigInt(first) + BigInt(index)));
}

const invalid = (message, field) => new CallError("INVALID_ARGUMENT", message, { reason: "FIELD_INVALID", field });
