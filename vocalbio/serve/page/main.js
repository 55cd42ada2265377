// The frame: which view is shown, what the service can do, where the focus goes.

import { byId, h } from "./elements.js";
import * as log from "./log.js";
import * as memo from "./memo.js";
import * as night from "./night.js";
import * as people from "./people.js";
import * as server from "./server.js";

const VIEWS = { memo: "Memo", night: "Night", people: "People", log: "Log" };
let shown = null;

/** "#people/P7/stress" or "#log?person=P7" */
function asked() {
  const [path, rest = ""] = location.hash.slice(1).split("?");
  const [view, ...parts] = path.split("/").map(decodeURIComponent);
  return { view: view in VIEWS ? view : "memo", parts, filter: Object.fromEntries(new URLSearchParams(rest)) };
}

function trouble(error) {
  byId("trouble").hidden = !error;
  byId("trouble").replaceChildren(...(error ? [h("p", { class: "notice" }, error.message)] : []));
}

const OPENERS = { people: (parts) => people.open(parts), log: (parts, filter) => log.open(parts, filter) };

async function show({ focus = true } = {}) {
  const { view, parts, filter } = asked();
  if (shown === "memo" && view !== "memo") memo.leave();
  shown = view;
  trouble(null);
  for (const name of Object.keys(VIEWS)) {
    byId(name).hidden = name !== view;
    const link = document.querySelector(`nav [data-view="${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[view]} · vocalbio`;
  try {
    await OPENERS[view]?.(parts, filter);
  } catch (error) {
    byId(`${view}-content`)?.replaceChildren(); // not what was asked for before
    trouble(error);
  }
  if (!focus) return;
  window.scrollTo(0, 0);
  (byId(`${view}-title`) ?? byId("main")).focus({ preventScroll: true });
}

async function learnPeople() {
  const known = await server.people().catch(() => ({ people: [] }));
  byId("known-people").replaceChildren(...known.people.map(({ name }) => h("option", { value: name })));
}

async function begin() {
  memo.begin();
  night.begin(learnPeople);
  window.addEventListener("hashchange", () => show());
  await show({ focus: false });
  try {
    const found = await server.health();
    memo.setUp(found, learnPeople);
    const kept =
      found.log === "memory"
        ? "The log is in memory and ends with the service."
        : found.encrypted
          ? "The log is encrypted."
          : "";
    byId("about").textContent = [
      found.version && `vocalbio ${found.version}.`,
      "Sound goes to this service and nowhere else.",
      kept,
    ]
      .filter(Boolean)
      .join(" ");
    await learnPeople();
  } catch (error) {
    trouble(error);
  }
}

begin();
