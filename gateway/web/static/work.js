// What a panel shows while a call is under way: a button that turns into Cancel, a bar, and the seconds.

import { announce, byId, make } from "./dom.js";

const SHOW_SECONDS_AFTER = 2;

export class Work {
  #controller = null;

  /** Of the panel whose elements are `NAME-button`, `NAME-cancel` and `NAME-progress`. */
  constructor(name) {
    this.button = byId(`${name}-button`);
    this.cancelButton = byId(`${name}-cancel`);
    this.progress = byId(`${name}-progress`);
    this.cancelButton.addEventListener("click", () => this.cancel());
    byId(name).addEventListener("keydown", (event) => event.key === "Escape" && this.cancel());
  }

  /** Whether a call is under way. */
  get busy() {
    return this.#controller !== null;
  }

  /** Aborts the call under way; its `run` then returns false. */
  cancel() {
    this.#controller?.abort();
  }

  /**
   * Runs `task(signal, tell)`, in place of one under way; `tell(text, done, of)` says how far it is.
   * Returns whether it came to its end; false after `cancel` or another `run`.
   */
  async run(task) {
    this.cancel();
    const controller = (this.#controller = new AbortController());
    const stopShowing = this.#show();
    const tell = (...told) => this.#controller === controller && this.#tell(...told);
    try {
      await task(controller.signal, tell);
      return !controller.signal.aborted;
    } catch (error) {
      if (controller.signal.aborted) {
        return false;
      }
      throw error;
    } finally {
      if (this.#controller === controller) {
        this.#controller = null;
        stopShowing();
      }
    }
  }

  #show() {
    const begin = performance.now();
    const timer = setInterval(() => {
      const seconds = Math.floor((performance.now() - begin) / 1000);
      const clock = this.progress.querySelector(".clock");
      if (clock && seconds >= SHOW_SECONDS_AFTER) {
        clock.textContent = `${seconds} s`;
      }
    }, 250);
    this.#swap(this.button, this.cancelButton);
    return () => {
      clearInterval(timer);
      this.progress.replaceChildren();
      this.#swap(this.cancelButton, this.button);
    };
  }

  #tell(text, done = null, of = 1) {
    const bar = make("progress", { "aria-label": text, max: of });
    if (done !== null) {
      bar.value = done;
    }
    const seconds = this.progress.querySelector(".clock")?.textContent ?? "";
    const clock = make("span", { class: "clock", "aria-hidden": "true" }, seconds);
    this.progress.replaceChildren(bar, make("span", { class: "stage" }, text), clock);
    announce(text);
  }

  /** Shows one button in place of the other, with the focus if that one had it. */
  #swap(hide, show) {
    const focused = document.activeElement === hide;
    hide.hidden = true;
    show.hidden = false;
    if (focused) {
      show.focus();
    }
  }
}
