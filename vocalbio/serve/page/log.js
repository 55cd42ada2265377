// The fourth view: what was answered earlier; opening, exporting, deleting.

import { showAnswer } from "./answer.js";
import { confirmed } from "./confirm.js";
import { back, byId, fill, h } from "./elements.js";
import * as server from "./server.js";
import { conditionName, lasting, moment, number } from "./words.js";

const place = () => byId("log-content");
const PAGE = 50;

const failed = (error) => h("p", { class: "notice", role: "alert" }, error.message);

function entry(one) {
  const isNight = one.kind === "night";
  const said = [
    one.status === "indeterminate" ? "cannot be said" : one.status,
    !isNight && typeof one.score === "number" ? number(one.score, one.score > 1 ? 1 : 2) : null,
  ]
    .filter(Boolean)
    .join(" ");
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#log/${one.id}` },
      h("span", { class: "when" }, moment(one.created_at)),
      h("span", { class: "what" }, isNight ? "Night" : conditionName(one.condition)),
      h(
        "span",
        { class: "name" },
        one.person ? h("b", {}, one.person) : null,
        one.person && one.file_name ? " · " : null,
        one.file_name,
        lasting(one.duration_s) ? ` · ${lasting(one.duration_s)}` : null,
      ),
      h("span", { class: `end${one.status === "High" || one.status === "High Risk" ? " high" : ""}` }, said),
    ),
  );
}

// One recording

async function showOne(id) {
  const one = await server.recording(id);
  const title = one.kind === "night" ? "A night" : `A memo: ${conditionName(one.condition).toLowerCase()}`;
  const remove = async () => {
    const yes = await confirmed({
      title: "Delete this recording?",
      words: "The answer, its pictures and, where it was kept, the sound go. This cannot be undone.",
    });
    if (!yes) return;
    try {
      await server.deleteRecording(id);
      location.hash = "log";
    } catch (error) {
      place().prepend(failed(error));
    }
  };
  const report = one.report ?? (one.kind === "night" ? `/nights/${id}/report.html` : `/recordings/${id}/report.html`);
  const audio = one.audio ?? (one.has_audio ? `/recordings/${id}/audio` : null);
  fill(
    place(),
    back("#log", "All recordings"),
    h("div", { class: "intro" }, h("h1", { id: "log-title", tabindex: "-1" }, title)),
    showAnswer(one, { inLog: true }),
    audio
      ? h(
          "div",
          { class: "apart" },
          h("h2", {}, "The sound"),
          h("audio", { controls: true, preload: "none", src: audio }),
        )
      : null,
    h(
      "p",
      { class: "apart row" },
      h("a", { class: "button", href: report, target: "_blank", rel: "noopener" }, "Open the report"),
      h("button", { type: "button", class: "danger outline", onclick: remove }, "Delete this recording"),
    ),
  );
}

// All of them

function filters(filter, people) {
  const changed = () => {
    const values = { person: byId("filter-person").value, condition: byId("filter-condition").value };
    const kept = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
    history.replaceState(null, "", `#log${kept.size ? `?${kept}` : ""}`);
    showList(values);
  };
  const options = (all, chosen) => [
    h("option", { value: "" }, "All"),
    ...all.map(([value, words]) => h("option", { value, selected: value === chosen }, words)),
  ];
  const conditions = ["stress", "depression", "apnea"].map((name) => [name, conditionName(name)]);
  return h(
    "div",
    { class: "filters" },
    h(
      "p",
      { class: "field" },
      h("label", { for: "filter-person" }, "Person"),
      h(
        "select",
        { id: "filter-person", onchange: changed },
        options(
          people.map(({ name }) => [name, name]),
          filter.person,
        ),
      ),
    ),
    h(
      "p",
      { class: "field" },
      h("label", { for: "filter-condition" }, "Condition"),
      h("select", { id: "filter-condition", onchange: changed }, options(conditions, filter.condition)),
    ),
  );
}

async function showList(filter) {
  const list = byId("log-list");
  list.replaceChildren();
  byId("log-more").hidden = true;
  const add = async (before) => {
    const { recordings, next } = await server.recordings({ ...filter, limit: PAGE, before });
    list.append(...recordings.map(entry));
    list.hidden = !list.children.length;
    byId("log-none").hidden = Boolean(list.children.length);
    byId("log-none").textContent =
      filter.person || filter.condition
        ? "Nothing fits this filter."
        : "Nothing has been kept yet. Answers to memos and nights will be listed here.";
    byId("log-said").textContent = list.children.length ? `${list.children.length} shown` : "";
    byId("log-more").hidden = !next;
    byId("log-more").onclick = () => add(next);
  };
  try {
    await add();
  } catch (error) {
    list.hidden = true;
    byId("log-none").hidden = false;
    byId("log-none").textContent = error.message;
  }
}

async function auditList(target) {
  if (target.dataset.loaded) return;
  target.dataset.loaded = "true";
  try {
    const { entries } = await server.audit();
    const rows = entries.map((one) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, moment(one.at)),
        h("td", {}, one.action),
        h("td", {}, one.what),
        h("td", {}, one.who),
      ),
    );
    target.append(
      rows.length
        ? h(
            "div",
            { class: "wide-table", tabindex: "0", role: "region", "aria-label": "Audit list" },
            h(
              "table",
              {},
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  ["When", "Done", "What", "By whom"].map((name) => h("th", { scope: "col" }, name)),
                ),
              ),
              h("tbody", {}, rows),
            ),
          )
        : h("p", { class: "soft" }, "Nothing has been done yet."),
    );
  } catch (error) {
    delete target.dataset.loaded;
    target.append(failed(error));
  }
}

async function removeEverything() {
  const yes = await confirmed({
    title: "Delete everything?",
    words: "Every memo, night, picture and kept sound in this log goes, of all people. This cannot be undone.",
    yes: "Delete everything",
    typed: "delete",
  });
  if (!yes) return;
  await server.deleteEverything();
  await open([], {});
}

async function showAll(filter) {
  const { people } = await server.people();
  const about = { json: "JSON", csv: "CSV", zip: "ZIP with kept sound" };
  fill(
    place(),
    h(
      "div",
      { class: "intro" },
      h("h1", { id: "log-title", tabindex: "-1" }, "The log"),
      h("p", { class: "lede" }, "What was answered, on this machine alone. Sound is kept only where that was chosen."),
    ),
    filters(filter, people),
    h("ul", { class: "log-list", id: "log-list" }),
    h("p", { class: "empty", id: "log-none", hidden: true }),
    h("p", { class: "unseen", id: "log-said", role: "status" }),
    h("p", {}, h("button", { type: "button", id: "log-more", hidden: true }, "Show older ones")),
    h(
      "div",
      { class: "apart" },
      h("h2", {}, "Take it with you"),
      h("p", { class: "soft" }, "Everything in the log, for another program or another person."),
      h(
        "p",
        { class: "row" },
        Object.entries(about).map(([format, words]) =>
          h("a", { class: "button", href: server.exportAddress(format), download: "" }, words),
        ),
      ),
    ),
    h(
      "div",
      { class: "apart" },
      h("h2", {}, "Who did what"),
      h(
        "details",
        { ontoggle: ({ currentTarget }) => currentTarget.open && auditList(currentTarget) },
        h("summary", {}, "Show the audit list"),
      ),
    ),
    h(
      "div",
      { class: "apart" },
      h("h2", {}, "Delete"),
      h("p", { class: "soft" }, "A single recording is deleted where it is opened, a person under People."),
      h(
        "p",
        {},
        h(
          "button",
          {
            type: "button",
            class: "danger outline",
            onclick: () => removeEverything().catch((error) => place().prepend(failed(error))),
          },
          "Delete everything",
        ),
      ),
    ),
  );
  await showList(filter);
}

export async function open([id], filter) {
  if (id) await showOne(id);
  else await showAll(filter);
}
