// Error details of google.rpc, out of the bytes that Connect carries; no more of protobuf than they need.

/** `{reason, field, retrySeconds}` of a list of `{type, value}`; what is not there is absent. */
export function readDetails(details) {
  const found = {};
  for (const { type, value } of details) {
    const fields = read(bytes(value));
    if (type === "google.rpc.ErrorInfo") {
      found.reason = text(fields.get(1));
    } else if (type === "google.rpc.BadRequest") {
      found.field = text(read(fields.get(1)).get(1));
    } else if (type === "google.rpc.RetryInfo") {
      const delay = read(fields.get(1));
      found.retrySeconds = Number(delay.get(1) ?? 0) + Number(delay.get(2) ?? 0) / 1e9;
    }
  }
  return found;
}

/** The first value of each field of a message, by number: a number, or bytes. */
function read(data = new Uint8Array()) {
  const fields = new Map();
  let place = 0;
  const varint = () => {
    let number = 0;
    for (let factor = 1; place < data.length; factor *= 128) {
      const byte = data[place++];
      number += (byte & 127) * factor;
      if (byte < 128) {
        break;
      }
    }
    return number;
  };
  while (place < data.length) {
    const tag = varint();
    const [number, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind !== 0 && kind !== 2) {
      break; // none of these messages has another kind
    }
    let value = varint();
    if (kind === 2) {
      value = data.subarray(place, (place += value));
    }
    fields.has(number) || fields.set(number, value);
  }
  return fields;
}

const text = (data) => (data instanceof Uint8Array ? new TextDecoder().decode(data) : "");

/** Bytes of base64, with or without padding. */
export const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
