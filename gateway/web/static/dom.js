// Elements without markup: text from elsewhere only ever becomes text.

export const byId = (id) => document.getElementById(id);

/** An element. `on` holds listeners; properties with a dash and `role`, `lang`, `for` are attributes. */
export function make(tag, { on = {}, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.includes("-")) {
      element[name] = value;
    } else {
      element.setAttribute(name, value);
    }
  }
  for (const [name, listener] of Object.entries(on)) {
    element.addEventListener(name, listener);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** One of the icons of the page, for the eye only. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Says something to a screen reader. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** The language of a text that is English or Chinese. */
export const languageOf = (text) => (/\p{Script=Han}/u.test(text) ? "zh" : "en");

/** `1 picture`, `2 pictures`. */
export const counted = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

/** Puts text into the clipboard, and says so on the button that was pressed. */
export async function copy(text, button) {
  const said = button.dataset.said ?? (button.dataset.said = button.title || button.textContent);
  const done = await writeClipboard(text);
  const told = done ? "Copied" : "Press Ctrl+C";
  announce(told);
  button.classList.add("said");
  button.title ? (button.title = told) : (button.textContent = told);
  setTimeout(() => {
    button.classList.remove("said");
    button.title ? (button.title = said) : (button.textContent = said);
  }, 1600);
}

async function writeClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard where the page came over plain HTTP from another machine.
    const area = make("textarea", { value: text, class: "visually-hidden" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
