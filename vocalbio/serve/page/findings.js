// The report of a night: how many events an hour, with the interval, why to doubt it, and each event.

import { doubtSign, h } from "./elements.js";
import { eventName, hour, lasting, number, percent, plural } from "./words.js";

const FIRST_EVENTS = 12;
const LEAST_HOURS = 1; // a rate an hour from less would be a guess

/** When an event was: clock time where the night's beginning is known, else the time since it. */
const when = (night, seconds) =>
  night.started
    ? hour(new Date(new Date(night.started).getTime() + 1000 * seconds))
    : `${lasting(seconds) || "0 s"} in`;

const row = (night, event) =>
  h(
    "tr",
    {},
    h("th", { scope: "row" }, when(night, event.start_s)),
    h("td", {}, eventName(event.kind)),
    h("td", { class: "number" }, `${number(event.end_s - event.start_s, 0)} s`),
    h("td", { class: "number" }, percent(event.confidence)),
  );

const table = (caption, rows) =>
  h(
    "table",
    {},
    h("caption", { class: "unseen" }, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "Began"),
        h("th", { scope: "col" }, "Kind"),
        h("th", { scope: "col", class: "number" }, "Length"),
        h("th", { scope: "col", class: "number" }, "Sureness"),
      ),
    ),
    h("tbody", {}, rows),
  );

function events(night) {
  const rows = (night.events ?? []).map((event) => row(night, event));
  if (!rows.length)
    return h("section", {}, h("h2", {}, "Events"), h("p", {}, "None was found in what could be heard."));
  return h(
    "section",
    {},
    h("h2", {}, "Events"),
    table("Events of the night", rows.slice(0, FIRST_EVENTS)),
    rows.length > FIRST_EVENTS
      ? h(
          "details",
          {},
          h("summary", {}, `${rows.length - FIRST_EVENTS} more`),
          table("Further events", rows.slice(FIRST_EVENTS)),
        )
      : null,
    h(
      "p",
      { class: "fine" },
      "A pause is a stretch in which the sound of breathing stops. A microphone hears sound, not airflow.",
    ),
  );
}

const figure = (name, value, under) =>
  h("div", {}, h("dt", {}, name), h("dd", {}, value, under ? h("small", {}, under) : null));

/** The parts of a night's report, for a sheet. */
export function showNight(night) {
  const { summary, index_by_kind: kinds = {} } = night;
  const known = typeof summary.index === "number" && summary.analysed_h >= LEAST_HOURS;
  const said = h(
    "div",
    { class: "said" },
    h("h2", { class: "word", tabindex: "-1" }, summary.severity ?? plural(summary.n_events, "event")),
    known
      ? h(
          "p",
          { class: "value" },
          h("b", {}, number(summary.index)),
          " an hour",
          h("span", { class: "soft" }, `, between ${number(summary.index_low)} and ${number(summary.index_high)}`),
        )
      : h("p", { class: "value soft" }, `in ${lasting(3600 * summary.analysed_h)}`),
  );
  const unsure = [night.severity_reason, ...(night.notes ?? [])].filter(Boolean);
  const count = (kind) =>
    kinds[kind]?.n ??
    kinds[kind]?.count ??
    kinds[kind]?.n_events ??
    (night.events ?? []).filter((event) => event.kind === kind).length;
  return [
    said,
    h(
      "section",
      {},
      h("h2", { class: "unseen" }, "In numbers"),
      h(
        "dl",
        { class: "numbers" },
        figure("Recorded", lasting(3600 * summary.recorded_h)),
        figure(
          "Could be heard",
          lasting(3600 * summary.analysed_h),
          summary.unusable_h > 0.01 ? `${lasting(3600 * summary.unusable_h)} not usable` : null,
        ),
        figure("Events", String(summary.n_events), `${plural(count("apnea"), "pause")}, ${count("hypopnea")} weaker`),
        figure(
          "Snoring",
          `${number(summary.snoring_min, 0)} min`,
          typeof summary.snoring_share === "number" ? `${percent(summary.snoring_share)} of the time` : null,
        ),
      ),
    ),
    unsure.length
      ? h(
          "section",
          {},
          h("h2", {}, "Reasons for doubt"),
          h(
            "ul",
            { class: "doubts" },
            unsure.map((words) => h("li", {}, doubtSign(), h("span", {}, words))),
          ),
        )
      : null,
    events(night),
  ].filter(Boolean);
}
