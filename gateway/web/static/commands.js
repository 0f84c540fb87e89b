// The last action as commands to copy: the command line, and a call with buf; quoted for a POSIX shell.

import { byId, copy, make } from "./dom.js";
import { hasKey } from "./key.js";

const DEFAULT_PORT = 50051;
const SERVICE = "diptych.gateway.v1.GatewayService";

/** A word as a POSIX shell reads it. */
export const quoted = (word) => (/^[\w./:@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Where gRPC of this gateway is; `host:port`. */
const grpcAddress = (facts) => `${location.hostname}:${facts.grpcPort ?? DEFAULT_PORT}`;

function commandLine(facts, command, options, operands) {
  const address = (facts.grpcPort ?? DEFAULT_PORT) === DEFAULT_PORT && isHere() ? [] : ["--address", grpcAddress(facts)];
  // After "--" nothing is an option, whatever it begins with.
  const last = operands.some((each) => each.startsWith("-")) ? ["--", ...operands] : operands;
  const tls = location.protocol === "https:" ? ["--tls"] : [];
  return ["diptych", command, ...[...options, ...address, ...tls, ...last].map(String).map(quoted)].join(" ");
}

const isHere = () => ["127.0.0.1", "localhost"].includes(location.hostname);

/** By name: what is shown may be seen, and is copied into files. */
const keyOption = () => (hasKey() ? ' -H "authorization: Bearer $DIPTYCH_KEY"' : "");

const buf = (facts, method, data) =>
  `buf curl --protocol grpc${keyOption()} -d ${data} \\\n    ${location.protocol}//${grpcAddress(facts)}/${SERVICE}/${method}`;

/** The commands that paint what `request` asks for. */
export function paintCommands(facts, request) {
  const format = request.format?.replace("IMAGE_FORMAT_", "").toLowerCase();
  const options = ["--number", request.imageCount, "--seed", request.seeds[0]];
  request.candidates && options.push("--candidates", request.candidates);
  format && format !== "png" && options.push("--format", format);
  request.quality && options.push("--quality", request.quality);
  options.push("--output", "pictures");
  return [
    ["Command line", commandLine(facts, "text-to-image", options, [request.prompt])],
    ["buf curl", buf(facts, "TextToImage", quoted(JSON.stringify(request)))],
  ];
}

/** The commands that describe the picture file `name` as `request` asks, and name it by `labels` where there are some. */
export function describeCommands(facts, name, request, labels) {
  const options = ["--language", request.language, "--candidates", request.candidates, "--labels", request.topK];
  request.heads && options.push("--heads", request.heads.join(","));
  request.sampling && options.push("--seed", request.sampling.seed);
  const commands = [
    ["Command line", commandLine(facts, "image-to-text", options, [name])],
    ["buf curl", bufWithPicture(facts, "ImageToText", name, request)],
  ];
  if (labels.length) {
    commands.push(
      ["Command line, your labels", commandLine(facts, "classify", ["--labels", labels.join(",")], [name])],
      ["buf curl, your labels", bufWithPicture(facts, "ClassifyImage", name, { labels })],
    );
  }
  return commands;
}

function bufWithPicture(facts, method, name, request) {
  // printf joins its arguments, so that no % or \ of the request means anything.
  const rest = JSON.stringify(request).slice(1);
  const file = name.startsWith("-") ? `./${name}` : name;
  const json = `${quoted('{"images":["')} "$(base64 < ${quoted(file)} | tr -d '\\n')" ${quoted(`"],${rest}`)}`;
  return `printf %s ${json} \\\n    | ${buf(facts, method, "@-")}`;
}

/** Shows commands, each with a button that copies it. */
export function showCommands(commands, hint) {
  byId("terminal").hidden = false;
  byId("terminal-hint").textContent = hint;
  byId("commands").replaceChildren(
    ...commands.map(([title, text]) => {
      const button = make("button", { class: "quiet copy", type: "button", "aria-label": `Copy: ${title}` }, "Copy");
      button.addEventListener("click", () => copy(text, button));
      return make(
        "div",
        { class: "command" },
        make("div", { class: "command-head" }, make("h3", {}, title), button),
        make("pre", { tabIndex: 0, role: "group", "aria-label": title }, make("code", {}, text)),
      );
    }),
  );
}
