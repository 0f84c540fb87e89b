// Which pictures something on the page still shows; the memory of the others is given back.

const held = new Map();

/** Says that `holder` shows `pictures`, `{url, …}`, and none of those that it named before. */
export function hold(holder, pictures) {
  const before = held.get(holder) ?? [];
  pictures.length ? held.set(holder, pictures) : held.delete(holder);
  const shown = new Set([...held.values()].flat());
  before.filter((picture) => !shown.has(picture)).forEach(({ url }) => URL.revokeObjectURL(url));
}
