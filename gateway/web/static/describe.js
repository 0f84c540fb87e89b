// The right panel: a picture becomes captions and labels.

import { describeCommands, showCommands } from "./commands.js";
import { call, CallError } from "./connect.js";
import { announce, byId, make } from "./dom.js";
import { clearProblem, showProblem } from "./problem.js";
import { showWords } from "./words.js";
import { Work } from "./work.js";

const LANGUAGES = { en: "English", zh: "中文" };
const MEBI = 1024 * 1024;
const SMALL_SIDE = 128;

export class DescribePanel {
  #work = new Work("describe");
  #problem = byId("describe-problem");
  #picture = null;
  #limit = 8 * MEBI;

  constructor({ facts, history, onPaint }) {
    this.facts = facts;
    this.history = history;
    this.onPaint = onPaint;
    byId("describe-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.describe();
    });
    this.#takeFiles();
    this.offerLanguages(Object.keys(LANGUAGES));
  }

  /** What the gateway says it takes. */
  limit(capabilities) {
    this.#limit = Number(capabilities.limits.imageBytes);
    byId("captions").max = capabilities.limits.captionCandidates;
    capabilities.languages?.length && this.offerLanguages(capabilities.languages);
  }

  offerLanguages(codes) {
    const chosen = this.#language() ?? codes[0];
    byId("languages").replaceChildren(
      ...codes.map((code) => {
        const radio = make("input", { type: "radio", name: "language", value: code, checked: code === chosen });
        radio.addEventListener("change", () => this.#picture && this.describe());
        return make("label", { lang: code }, radio, make("span", {}, LANGUAGES[code] ?? languageName(code)));
      }),
    );
  }

  /** Takes a picture, `{blob, name, url}`, and describes it. */
  take(picture) {
    this.#picture = picture;
    this.#showPicture();
    this.describe();
  }

  /** Describes the picture as the form says. */
  async describe() {
    clearProblem(this.#problem);
    const picture = this.#picture;
    const values = { captions: byId("captions").value, top: byId("top").value, labels: byId("labels").value };
    const request = {
      language: this.#language(),
      candidates: Number(values.captions) || 1,
      topK: Number(values.top) || 5,
    };
    const labels = toLabels(values.labels);
    try {
      this.#check(picture);
      byId("words").replaceChildren();
      await this.#work.run(async (signal, tell) => {
        showCommands(describeCommands(this.facts, picture.name, request, labels), "The picture is expected in the folder that you are in.");
        tell(`Looking at ${picture.name}…`);
        const words = await this.#ask(picture, request, labels, signal);
        this.#show(words);
        announce(words.captions[0]?.text ?? "No caption");
        const restore = () => this.#restore(picture, { ...values, language: request.language }, request, labels, words);
        this.history.add({ verb: "Described", words: words.captions[0]?.text ?? picture.name, picture: picture.url, pictures: 1, restore });
      });
    } catch (error) {
      showProblem(this.#problem, error, this.facts, () => this.describe());
    }
  }

  #check(picture) {
    if (!picture) {
      byId("drop").focus();
      throw new CallError("INVALID_ARGUMENT", "There is no picture yet", { reason: "FIELD_MISSING", field: "images" });
    }
    if (picture.blob.size > this.#limit) {
      const message = `${picture.name} has ${(picture.blob.size / MEBI).toFixed(1)} MiB; the limit is ${this.#limit / MEBI} MiB`;
      throw new CallError("INVALID_ARGUMENT", message, { reason: "IMAGE_TOO_LARGE", field: "images[0]" });
    }
  }

  async #ask(picture, request, labels, signal) {
    const images = [await base64(picture.blob)];
    const [described, named] = await Promise.all([
      call("ImageToText", { images, ...request }, signal),
      labels.length ? call("ClassifyImage", { images, labels }, signal) : null,
    ]);
    const { captions = [], labels: found = [] } = described.descriptions[0];
    return { language: request.language, captions, labels: found, own: named?.results[0].labels ?? null };
  }

  #show(words) {
    showWords(byId("words"), words, (text) => this.onPaint(text));
  }

  #restore(picture, values, request, labels, words) {
    this.#work.cancel();
    clearProblem(this.#problem);
    this.#picture = picture;
    this.#showPicture();
    ["captions", "top", "labels"].forEach((name) => (byId(name).value = values[name]));
    document.querySelectorAll("[name=language]").forEach((radio) => (radio.checked = radio.value === values.language));
    this.#show(words);
    showCommands(describeCommands(this.facts, picture.name, request, labels), "The picture is expected in the folder that you are in.");
    byId("words-title").focus();
  }

  #language() {
    return document.querySelector("[name=language]:checked")?.value;
  }

  #showPicture() {
    const image = make("img", { src: this.#picture.url, alt: `The picture to describe: ${this.#picture.name}` });
    image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth <= SMALL_SIDE));
    image.addEventListener("error", () => image.remove()); // whether it is a picture, the gateway says
    byId("drop").classList.add("filled");
    byId("drop-picture").replaceChildren(image);
    byId("drop-text").textContent = this.#picture.name;
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

const toLabels = (text) => [...new Set(text.split(/[,，、\n]/).map((label) => label.trim()).filter(Boolean))];

const languageName = (code) => new Intl.DisplayNames([code], { type: "language", fallback: "code" }).of(code);

async function base64(blob) {
  const reader = new FileReader();
  reader.readAsDataURL(blob);
  await new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = () => reject(new CallError("INVALID_ARGUMENT", "The file cannot be read", { reason: "IMAGE_UNREADABLE" }));
  });
  return reader.result.slice(reader.result.indexOf(",") + 1);
}
