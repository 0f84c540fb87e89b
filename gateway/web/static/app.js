// The playground: joins the two panels, the history and what the gateway says of itself.

import { completed, setHealth, showAbout, showHealth } from "./about.js";
import { call, get } from "./connect.js";
import { DescribePanel } from "./describe.js";
import { byId } from "./dom.js";
import { History } from "./history.js";
import { offerKey } from "./key.js";
import { PaintPanel } from "./paint.js";
import { clearProblem, showProblem } from "./problem.js";

const ASK_AGAIN_MS = 5000;

/** What facts.json says, once it is there; of limits then what the gateway's services keep. */
const facts = { remedies: {}, limits: {}, grpcPort: null };
const history = new History();
const painting = new PaintPanel({ facts, history, onDescribe: (picture) => show("describe", () => describing.take(picture)) });
const describing = new DescribePanel({ facts, history, onPaint: (text) => show("paint", () => painting.propose(text)) });
let again = null;

/** Moves to the other panel, which on a narrow screen is below or above. */
function show(panel, act) {
  act();
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId(panel).scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "nearest" });
}

/** Asks the gateway what it is, until it answers; a failure is shown once, not each time. */
async function connect() {
  clearTimeout(again);
  try {
    Object.assign(facts, await get("/facts.json"));
    const capabilities = completed(await call("GetCapabilities", {}), facts);
    facts.limits = capabilities.limits;
    painting.limit(capabilities);
    describing.limit(capabilities);
    showAbout(capabilities);
    showHealth(capabilities);
    clearProblem(byId("about-problem"));
  } catch (error) {
    if (!byId("about-problem").hasChildNodes()) {
      setHealth("down", refused(error) ? "Key wanted" : "No answer");
      byId("about-body").replaceChildren();
      showProblem(byId("about-problem"), error, { facts, retry: connectNow });
    }
    if (!refused(error)) {
      again = setTimeout(connect, ASK_AGAIN_MS);
    }
  }
}

/** Whether to ask again is of no use before there is another key. */
const refused = (error) => error.code === "UNAUTHENTICATED";

function connectNow() {
  clearProblem(byId("about-problem"));
  setHealth("waiting", "Connecting…");
  return connect();
}

offerKey(connectNow);
await connectNow();
document.documentElement.dataset.ready = "true";
