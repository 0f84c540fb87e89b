// The right panel: a picture becomes captions and labels, of all that the classifier can be asked.

import { checkLength, invalid, markInvalid, typed, wholeNumber } from "./checks.js";
import { describeCommands, showCommands } from "./commands.js";
import { call } from "./connect.js";
import { announce, byId, make } from "./dom.js";
import { askedOf, askForHeads, commonHeads, inOrder } from "./heads.js";
import { hold } from "./held.js";
import { clearProblem, showProblem } from "./problem.js";
import { toSeeds } from "./seeds.js";
import { showWords } from "./words.js";
import { Work } from "./work.js";

const LANGUAGES = { en: "English", zh: "中文" };
const MEBI = 1024 * 1024;
const SMALL_SIDE = 128;
const PLACE_HINT = "The picture is expected in the folder that you are in.";
/** The page's controls by the gateway's fields. */
const CONTROLS = { images: "drop", candidates: "captions", top_k: "top", labels: "labels", "sampling.seed": "caption-seed" };
const FIELDS = ["captions", "top", "labels", "caption-seed"];

export class DescribePanel {
  #work = new Work("describe");
  #problem = byId("describe-problem");
  #picture = null;
  #heads = null; // not known yet

  constructor({ facts, history, onPaint }) {
    this.facts = facts;
    this.history = history;
    this.onPaint = onPaint;
    byId("describe-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.describe();
    });
    for (const radio of document.querySelectorAll("[name=wording]")) {
      radio.addEventListener("change", () => {
        this.#noteWording();
        this.#picture && this.describe();
      });
    }
    this.#noteWording(); // which a browser may remember
    this.#takeFiles();
    this.offerLanguages(Object.keys(LANGUAGES));
  }

  /** What the gateway says it takes. */
  limit(capabilities) {
    byId("captions").max = capabilities.limits.captionCandidates;
    this.#heads = commonHeads(capabilities.services);
    capabilities.languages?.length && this.offerLanguages(capabilities.languages);
  }

  offerLanguages(codes) {
    const before = chosen("language") ?? codes[0];
    byId("languages").replaceChildren(
      ...codes.map((code) => {
        const radio = make("input", { type: "radio", name: "language", value: code, checked: code === before });
        radio.addEventListener("change", () => this.#picture && this.describe());
        return make("label", { lang: code }, radio, make("span", {}, LANGUAGES[code] ?? languageName(code)));
      }),
    );
  }

  /** Takes a picture, `{blob, name, url}`, and describes it. */
  take(picture) {
    picture === this.#picture || byId("words").replaceChildren(); // they are of another one
    this.#showPicture(picture);
    this.describe();
  }

  /** Describes the picture as the form says. */
  async describe() {
    this.#work.cancel();
    clearProblem(this.#problem);
    markInvalid(CONTROLS);
    const picture = this.#picture;
    const values = Object.fromEntries(FIELDS.map((name) => [name, typed(byId(name))]));
    const wording = chosen("wording");
    try {
      const { request, labels } = this.#toRequest(values, wording);
      this.#checkPicture(picture);
      await this.#work.run(async (signal, tell) => {
        tell(`Looking at ${picture.name}…`);
        const { asked, words } = await this.#ask(picture, request, labels, signal);
        signal.throwIfAborted();
        this.#show(words);
        this.#showCommands(picture, asked, labels);
        announce(words.captions[0]?.text ?? "No caption");
        const restore = () => this.#restore(picture, values, { language: request.language, wording }, asked, labels, words);
        this.history.add({ verb: "Described", words: words.captions[0]?.text ?? picture.name, pictures: [picture], restore });
      });
    } catch (error) {
      const names = { images: picture?.name, candidates: "Captions", top_k: "Labels", labels: "A label of your own", language: "Language", heads: "What the classifier is asked" };
      showProblem(this.#problem, error, { facts: this.facts, retry: () => this.describe(), names });
      markInvalid(CONTROLS, error);
    }
  }

  #toRequest({ captions, top, labels: text, "caption-seed": seed }, wording) {
    const { captionCandidates, labels: mostLabels, promptCharacters } = this.facts.limits;
    const request = {
      language: chosen("language"),
      candidates: wholeNumber(captions, { label: "Captions", field: "candidates", most: captionCandidates, empty: 1 }),
      topK: wholeNumber(top, { label: "Labels", field: "top_k", empty: 5 }),
      ...(wording === "sampled" ? { sampling: { seed: toSeeds(seed, 1, "sampling.seed")[0] } } : {}),
    };
    const labels = toLabels(text);
    if (labels.length > mostLabels) {
      const remedy = `leave ${mostLabels} in “Labels of your own”`;
      throw invalid(`There are ${labels.length} labels of your own; the limit is ${mostLabels}`, "labels", remedy, "TOO_MANY_ITEMS");
    }
    labels.forEach((label, index) => checkLength(label, promptCharacters, `Label ${index + 1} of your own`, "labels"));
    return { request, labels };
  }

  #checkPicture(picture) {
    if (!picture) {
      throw invalid("There is no picture yet", "images", "choose one, drop one here, or paste it", "FIELD_MISSING");
    }
    const { size } = picture.blob;
    if (!size) {
      throw invalid(`${picture.name} is empty: it has 0 bytes`, "images", "choose another file", "FIELD_MISSING");
    }
    const most = Number(this.facts.limits.imageBytes);
    if (size > most) {
      const message = `${picture.name} has ${(size / MEBI).toFixed(1)} MiB; the limit is ${most / MEBI} MiB`;
      throw invalid(message, "images", "scale it down, or save it as JPEG, and choose it again", "IMAGE_TOO_LARGE");
    }
  }

  async #ask(picture, request, labels, signal) {
    const images = [await base64(picture.blob)];
    const [{ asked, described }, named] = await Promise.all([
      this.#askHeads(images, request, signal),
      labels.length ? call("ClassifyImage", { images, labels }, signal) : null,
    ]);
    const { captions = [], labels: found = [], heads: answered = [] } = described.descriptions[0];
    const heads = asked.heads ? inOrder(answered, this.#heads) : [{ labels: found }];
    const words = { language: request.language, captions, seed: described.seed ?? null, heads, own: named?.results[0].labels ?? null };
    return { asked, words };
  }

  /** Asks of every head. Which there are changes with the models: where they are no longer as known, they are looked up anew. */
  async #askHeads(images, request, signal) {
    const ask = async () => {
      const asked = { ...request, ...askedOf(this.#heads) };
      return { asked, described: await call("ImageToText", { images, ...asked }, signal) };
    };
    this.#heads ??= await askForHeads(signal);
    try {
      return await ask();
    } catch (error) {
      if (!error.field?.startsWith("heads")) {
        throw error;
      }
      this.#heads = await askForHeads(signal);
      return ask();
    }
  }

  #show(words) {
    showWords(byId("words"), words, { onPaint: (text) => this.onPaint(text), onSeed: (seed) => this.#useSeed(seed) });
  }

  #useSeed(seed) {
    check("wording", "sampled");
    this.#noteWording();
    byId("caption-seed").value = seed;
    byId("caption-seed").focus();
  }

  #noteWording() {
    byId("caption-seed-field").hidden = chosen("wording") !== "sampled";
  }

  #showCommands(picture, request, labels) {
    showCommands(describeCommands(this.facts, picture.name, request, labels), PLACE_HINT);
  }

  #restore(picture, values, choices, request, labels, words) {
    this.#work.cancel();
    clearProblem(this.#problem);
    markInvalid(CONTROLS);
    this.#showPicture(picture);
    Object.entries(values).forEach(([name, value]) => (byId(name).value = value));
    Object.entries(choices).forEach(([name, value]) => check(name, value));
    this.#noteWording();
    this.#show(words);
    this.#showCommands(picture, request, labels);
    byId("words-title").focus();
  }

  #showPicture(picture) {
    this.#picture = picture;
    hold(this, [picture]);
    const image = make("img", { src: picture.url, alt: `The picture to describe: ${picture.name}` });
    image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth <= SMALL_SIDE));
    image.addEventListener("error", () => image.remove()); // whether it is a picture, the gateway says
    byId("drop").classList.add("filled");
    byId("drop-picture").replaceChildren(image);
    byId("drop-text").textContent = picture.name;
    byId("drop-hint").textContent = "choose, drop or paste another";
  }

  #takeFiles() {
    const [panel, drop, file] = [byId("describe"), byId("drop"), byId("file")];
    const takeFirst = (files) => files.length && this.take({ blob: files[0], name: files[0].name, url: URL.createObjectURL(files[0]) });
    drop.addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      takeFirst(file.files);
      file.value = ""; // the same file may be chosen again
    });
    panel.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    panel.addEventListener("dragleave", (event) => panel.contains(event.relatedTarget) || drop.classList.remove("over"));
    panel.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      takeFirst(event.dataTransfer.files);
    });
    document.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length) {
        event.preventDefault();
        takeFirst(event.clipboardData.files);
      }
    });
  }
}

/** The value of the radio buttons of a name. */
const chosen = (name) => document.querySelector(`[name=${name}]:checked`)?.value;

const check = (name, value) => document.querySelectorAll(`[name=${name}]`).forEach((radio) => (radio.checked = radio.value === value));

const toLabels = (text) => [...new Set(text.split(/[,，、\n]/).map((label) => label.trim()).filter(Boolean))];

const languageName = (code) => new Intl.DisplayNames([code], { type: "language", fallback: "code" }).of(code);

async function base64(blob) {
  const reader = new FileReader();
  reader.readAsDataURL(blob);
  await new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = () => reject(invalid("The file cannot be read", "images", "choose it again: it was changed, moved or removed", "IMAGE_UNREADABLE"));
  });
  return reader.result.slice(reader.result.indexOf(",") + 1);
}
