// The left panel: a prompt becomes pictures, one by one.

import { checkLength, invalid, markInvalid, typed, wholeNumber } from "./checks.js";
import { paintCommands, showCommands } from "./commands.js";
import { stream } from "./connect.js";
import { announce, byId, counted, languageOf, make } from "./dom.js";
import { Gallery, toPicture } from "./gallery.js";
import { hold } from "./held.js";
import { clearProblem, showProblem } from "./problem.js";
import { toSeeds } from "./seeds.js";
import { Work } from "./work.js";

const SUGGESTIONS = ["a black cat", "一只黑猫", "strawberry", "a red car on the street", "两只黄色的鸟在雪地里", "a house"];
const FORMATS = { IMAGE_FORMAT_PNG: "PNG", IMAGE_FORMAT_JPEG: "JPEG", IMAGE_FORMAT_WEBP: "WebP" };
const MOST_QUALITY = 100;
const FIELDS = ["prompt", "count", "candidates", "seed", "format", "quality"];
/** The page's controls and names by the gateway's fields. */
const CONTROLS = { prompt: "prompt", image_count: "count", candidates: "candidates", seeds: "seed", format: "format", quality: "quality" };
const NAMES = { prompt: "The prompt", image_count: "Pictures", candidates: "Choose from", seeds: "Seed", format: "File", quality: "Quality" };

export class PaintPanel {
  #work = new Work("paint");
  #problem = byId("paint-problem");
  #fields = Object.fromEntries(FIELDS.map((name) => [name, byId(name)]));

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
    markInvalid(CONTROLS);
    const values = Object.fromEntries(FIELDS.map((name) => [name, name === "prompt" ? this.#fields.prompt.value : typed(this.#fields[name])]));
    const pictures = []; // by place, with gaps
    let request = null;
    try {
      request = toRequest(values, this.facts.limits);
      const finished = await this.#work.run((signal, tell) => this.#receive(request, pictures, signal, tell));
      finished || announce(`Cancelled with ${counted(pictures.filter(Boolean).length, "picture")}`);
    } catch (error) {
      showProblem(this.#problem, error, { facts: this.facts, retry: () => this.paint(), names: NAMES });
      markInvalid(CONTROLS, error);
    }
    if (request && !this.#work.busy) {
      this.gallery.settle();
      this.#remember(values, request, pictures.filter(Boolean));
    }
    hold(pictures, []);
  }

  async #receive(request, pictures, signal, tell) {
    const wanted = request.imageCount;
    this.gallery.prepare(wanted);
    tell(request.candidates ? `Painting ${request.candidates} to choose from…` : "Painting…");
    for await (const answer of stream("StreamTextToImage", request, signal)) {
      const index = answer.index ?? 0; // proto JSON leaves zeros out
      pictures[index] = toPicture(answer.image, request.prompt);
      hold(pictures, pictures.filter(Boolean)); // here as well, whatever the gallery shows by then
      this.gallery.hang(index, pictures[index]);
      const done = pictures.filter(Boolean).length;
      done === 1 && this.#showCommands(request); // what fails at once paints nothing again
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
      this.history.add({ verb: "Painted", words: values.prompt, pictures, restore });
    }
  }

  #restore(values, request, pictures) {
    this.#work.cancel();
    clearProblem(this.#problem);
    markInvalid(CONTROLS);
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
    const most = this.facts.limits.promptCharacters;
    byId("prompt-count").textContent = length ? `${length}${most ? ` / ${most}` : ""}` : "";
    byId("prompt-count").classList.toggle("over", length > most);
    byId("quality-field").hidden = format.value === "IMAGE_FORMAT_PNG";
    quality.disabled = format.value === "IMAGE_FORMAT_PNG";
  }
}

function toRequest({ prompt, count, candidates, seed, format, quality }, { promptCharacters, images: most }) {
  if (!prompt.trim()) {
    throw invalid("The prompt is empty", "prompt", "type what you want to see into “Prompt”", "FIELD_MISSING");
  }
  checkLength(prompt, promptCharacters, NAMES.prompt, "prompt");
  const imageCount = wholeNumber(count, { label: NAMES.image_count, field: "image_count", most, empty: 1 });
  const painted = wholeNumber(candidates, { label: NAMES.candidates, field: "candidates", most, empty: imageCount });
  if (painted < imageCount) {
    const remedy = `type ${imageCount} or more into “Choose from”, or leave it empty`;
    throw invalid(`Choose from is ${painted}, with ${imageCount} pictures to keep`, "candidates", remedy);
  }
  const lossless = format === "IMAGE_FORMAT_PNG";
  const asked = lossless ? 0 : wholeNumber(quality, { label: NAMES.quality, field: "quality", most: MOST_QUALITY, empty: 0 });
  return {
    prompt,
    imageCount,
    seeds: toSeeds(seed, painted, "seeds"),
    ...(candidates ? { candidates: painted } : {}),
    ...(format ? { format } : {}),
    ...(asked ? { quality: asked } : {}),
  };
}
