// The playground: joins the two panels, the history and what the gateway says of itself.

import { completed, setHealth, showAbout, showHealth } from "./about.js";
import { call } from "./connect.js";
import { DescribePanel } from "./describe.js";
import { byId } from "./dom.js";
import { History } from "./history.js";
import { PaintPanel } from "./paint.js";
import { clearProblem, showProblem } from "./problem.js";

const facts = await (await fetch("/facts.json")).json();
const history = new History();
const painting = new PaintPanel({ facts, history, onDescribe: (picture) => show("describe", () => describing.take(picture)) });
const describing = new DescribePanel({ facts, history, onPaint: (text) => show("paint", () => painting.propose(text)) });

/** Moves to the other panel, which on a narrow screen is below or above. */
function show(panel, act) {
  act();
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId(panel).scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "nearest" });
}

async function askCapabilities() {
  clearProblem(byId("about-problem"));
  setHealth("waiting", "Connecting…");
  try {
    const capabilities = completed(await call("GetCapabilities", {}));
    painting.limit(capabilities);
    describing.limit(capabilities);
    showAbout(capabilities);
    showHealth(capabilities);
  } catch (error) {
    setHealth("down", "No answer");
    byId("about-body").replaceChildren();
    showProblem(byId("about-problem"), error, facts, askCapabilities);
  }
}

await askCapabilities();
document.documentElement.dataset.ready = "true";
