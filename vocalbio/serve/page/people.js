// The third view: one person's memos over time, against their own first days.

import { chart, KEY } from "./chart.js";
import { confirmed } from "./confirm.js";
import { back, byId, doubtSign, fill, h } from "./elements.js";
import * as server from "./server.js";
import { conditionName, day, dayOfYear, number, percent, plural, signed } from "./words.js";

const place = () => byId("people-content");

/** A probability is read in per cent; other scores as they are. */
const digitsOf = (track) => (track.days.some((entry) => Math.abs(entry.score) > 1) ? 1 : 2);

const between = (low, high, digits, sign = number) => `between ${sign(low, digits)} and ${sign(high, digits)}`;

const based = (track) => Number.isFinite(track.baseline?.centre);

const figure = (name, value, under) => h("div", {}, h("dt", {}, name), h("dd", {}, value, h("small", {}, under)));

function verdict(track) {
  const { recent } = track;
  if (!Number.isFinite(recent?.change)) {
    return [
      "Too early to say",
      "A baseline needs four days with a memo, better seven; the days after them are compared with it.",
    ];
  }
  if (!recent.reliable)
    return ["Within chance", `The last ${plural(recent.n_days, "day")} lie where days of an unchanged person lie.`];
  return [
    recent.change > 0 ? "Higher than before" : "Lower than before",
    `The last ${plural(recent.n_days, "day")} differ from the baseline by more than chance. That does not say that it matters, or why.`,
  ];
}

function numbers(track) {
  const { baseline, recent, trend } = track;
  const digits = digitsOf(track);
  return h(
    "dl",
    { class: "numbers" },
    based(track)
      ? figure(
          "Baseline",
          number(baseline.centre, digits),
          `${between(baseline.centre_low, baseline.centre_high, digits)}, ${plural(baseline.n_days, "day")} from ${day(baseline.start)}`,
        )
      : null,
    Number.isFinite(recent?.change)
      ? figure(
          `Last ${plural(recent.n_days, "day")}`,
          signed(recent.change, digits),
          `${between(recent.low, recent.high, digits, signed)}`,
        )
      : null,
    Number.isFinite(trend?.slope_per_week)
      ? figure("Trend, a week", signed(trend.slope_per_week, digits), between(trend.low, trend.high, digits, signed))
      : null,
    figure(
      "Days of reliable change",
      String(track.days.filter((entry) => entry.reliable).length),
      `of ${plural(track.days.length, "day")}`,
    ),
  );
}

function standing({ in_baseline: based, beyond, reliable }) {
  if (based) return "baseline";
  if (reliable) return "reliable change";
  return beyond ? "beyond the limits" : "within";
}

function days(track) {
  const digits = digitsOf(track);
  const rows = [...track.days]
    .reverse()
    .map((entry) =>
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          dayOfYear(entry.date),
          h("span", { class: "year" }, ` ${new Date(entry.date).getFullYear()}`),
        ),
        h("td", { class: "number" }, number(entry.score, digits)),
        h(
          "td",
          { class: "number" },
          signed(entry.change, digits),
          Number.isFinite(entry.change)
            ? h("small", {}, ` ${signed(entry.change_low, digits)} to ${signed(entry.change_high, digits)}`)
            : null,
        ),
        h("td", {}, standing(entry)),
      ),
    );
  return h(
    "div",
    { class: "wide-table" },
    h(
      "table",
      { class: "days" },
      h("caption", {}, "Each day with its change from the baseline, and the interval of the change"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Day"),
          h("th", { scope: "col", class: "number" }, "Score"),
          h("th", { scope: "col", class: "number" }, "Change"),
          h("th", { scope: "col" }, "Standing"),
        ),
      ),
      h("tbody", {}, rows),
    ),
  );
}

function followed(track) {
  const [word, sentence] = verdict(track);
  const reasons = track.reasons ?? [];
  const box = h("div");
  const usable = track.days.some((entry) => Number.isFinite(entry.score));
  if (usable) {
    const draw = () => box.clientWidth && box.replaceChildren(chart(track, Math.round(box.clientWidth)));
    new ResizeObserver(draw).observe(box);
  }
  return h(
    "article",
    { class: "sheet" },
    h("div", { class: "said" }, h("h2", { class: "word" }, word)),
    h("p", { class: "soft" }, sentence),
    usable
      ? h(
          "section",
          {},
          h("h2", { class: "unseen" }, "Chart"),
          box,
          h(
            "ul",
            { class: "key" },
            KEY.slice(based(track) ? 0 : 1, based(track) ? undefined : 3).map(([sign, words]) =>
              h("li", {}, sign(), words),
            ),
          ),
        )
      : null,
    based(track) ? h("section", {}, h("h2", { class: "unseen" }, "In numbers"), numbers(track)) : null,
    reasons.length || track.unusable?.length
      ? h(
          "section",
          {},
          h("h2", {}, "Reasons for doubt"),
          h(
            "ul",
            { class: "doubts" },
            reasons.map((reason) => h("li", {}, doubtSign(), h("span", {}, reason))),
            track.unusable?.length
              ? h(
                  "li",
                  {},
                  doubtSign(),
                  h(
                    "span",
                    {},
                    `${plural(track.unusable.length, "memo")} could not be used; they count as nothing, never as zero.`,
                  ),
                )
              : null,
          ),
        )
      : null,
    h("section", {}, h("h2", {}, "Days"), days(track)),
    h(
      "p",
      { class: "fine part" },
      `Limits hold ${percent(track.settings?.level ?? 0.95)} of the days of an unchanged person. Memos of one day count as one.`,
    ),
  );
}

async function showPerson(name, wanted) {
  const known = (await server.people()).people.find((person) => person.name === name);
  const conditions = known?.conditions?.filter((condition) => condition !== "apnea") ?? [];
  const condition = conditions.includes(wanted) ? wanted : (conditions[0] ?? "stress");
  const select = h("select", {
    id: "people-condition",
    onchange: ({ target }) => (location.hash = `people/${encodeURIComponent(name)}/${target.value}`),
  });
  select.append(
    ...conditions.map((one) => h("option", { value: one, selected: one === condition }, conditionName(one))),
  );
  const gone = async () => {
    const yes = await confirmed({
      title: `Delete all of ${name}?`,
      words: "Every memo and night under this name goes, with answers, pictures and kept sound. This cannot be undone.",
      yes: "Delete them",
    });
    if (!yes) return;
    try {
      await server.deletePerson(name);
      location.hash = "people";
    } catch (error) {
      place().prepend(h("p", { class: "notice", role: "alert" }, error.message));
    }
  };
  const track = conditions.length ? await server.track(name, condition) : null;
  fill(
    place(),
    back("#people", "All people"),
    h(
      "div",
      { class: "intro" },
      h("h1", { id: "people-title", tabindex: "-1" }, name),
      h("p", { class: "lede" }, `${conditionName(condition)} over time`),
    ),
    conditions.length > 1
      ? h(
          "div",
          { class: "filters" },
          h("p", { class: "field" }, h("label", { for: "people-condition" }, "Condition"), select),
        )
      : null,
    track
      ? followed(track)
      : h(
          "div",
          { class: "empty" },
          h("h2", {}, "Nights only"),
          h("p", {}, "Memos can be followed over time; this person’s nights are in the log."),
        ),
    h(
      "p",
      { class: "apart row" },
      h("a", { class: "button", href: `#log?person=${encodeURIComponent(name)}` }, "Their recordings"),
      h("button", { type: "button", class: "danger outline", onclick: gone }, "Delete this person"),
    ),
  );
}

async function showAll() {
  const { people } = await server.people();
  const intro = h(
    "div",
    { class: "intro" },
    h("h1", { id: "people-title", tabindex: "-1" }, "One person over time"),
    h(
      "p",
      { class: "lede" },
      "People differ from each other far more than from themselves. Here each is compared with their own first days.",
    ),
  );
  if (!people.length) {
    fill(
      place(),
      intro,
      h(
        "div",
        { class: "empty" },
        h("h2", {}, "Nobody yet"),
        h(
          "p",
          {},
          "Give a pseudonym with a memo and it can be followed here: seven days make a baseline, the days after it are compared with it.",
        ),
        h("p", {}, h("a", { class: "button primary", href: "#memo" }, "Record a memo")),
      ),
    );
    return;
  }
  const cards = people.map((person) =>
    h(
      "li",
      {},
      h(
        "a",
        { href: `#people/${encodeURIComponent(person.name)}` },
        h("b", {}, person.name),
        h("small", {}, `${plural(person.n_memos, "recording")}, last ${day(person.last)}`),
      ),
    ),
  );
  fill(place(), intro, h("ul", { class: "cards" }, cards));
}

export async function open([name, condition]) {
  if (name) await showPerson(name, condition);
  else await showAll();
}
