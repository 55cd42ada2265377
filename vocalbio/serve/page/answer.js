// One answer on paper: the word, the number with its interval, the doubts, what moved it, the pictures.

import { doubtSign, h, placed } from "./elements.js";
import { showNight } from "./findings.js";
import { conditionName, lasting, moment, number, percent, short, signed } from "./words.js";

const PICTURES = {
  spectrogram: "The recording: its wave, its spectrum over time, its pitch",
  contributions: "What moved the number, group by group",
  markers: "Markers of this voice among those of the training cohort",
  segments: "When in the recording the evidence lies",
  night: "The night at a glance",
};
const UNANSWERED = { live: "Still being recorded", interrupted: "Interrupted before a report could be made" };
const MOST_GROUPS = 7;
const MOST_MARKERS = 12;

const part = (title, ...content) => h("section", {}, h("h2", {}, title), ...content);

/** What the scale is, where the value and its interval lie on it, and where the limit is. */
function reading(answer) {
  if (answer.score !== null && answer.score !== undefined && answer.scale) {
    const { low, high, name } = answer.scale;
    return {
      value: answer.score,
      interval: answer.score_interval,
      low,
      high,
      limit: answer.threshold,
      name,
      digits: 1,
      unit: "",
    };
  }
  const classes = Object.entries(answer.probability ?? {});
  if (classes.length !== 2) return null;
  const [name, value] = classes[1];
  const interval = answer.interval?.[name]?.map((bound) => 100 * bound);
  const limit = answer.threshold === null ? null : 100 * answer.threshold;
  return { value: 100 * value, interval, low: 0, high: 100, limit, name: "probability", digits: 0, unit: " %" };
}

const ranged = ({ interval, digits, unit }) =>
  interval ? `${number(interval[0], digits)} to ${number(interval[1], digits)}${unit}` : null;

function scale(read, label) {
  const share = (value) => `${Math.max(0, Math.min(100, (100 * (value - read.low)) / (read.high - read.low)))}%`;
  const track = h("div", { class: "track" });
  const ticks = h(
    "div",
    { class: "ticks" },
    h("span", {}, number(read.low, 0)),
    h("span", { class: "last" }, `${number(read.high, 0)}${read.unit}`),
  );
  if (read.limit !== null && read.limit !== undefined) {
    track.append(placed(h("span", { class: "above" }), { left: share(read.limit) }));
    ticks.append(placed(h("span", { class: "limit" }, `limit ${number(read.limit, 0)}`), { left: share(read.limit) }));
  }
  if (read.interval) {
    const [from, to] = read.interval.map((bound) => parseFloat(share(bound)));
    track.append(placed(h("span", { class: "span" }), { left: `${from}%`, width: `${to - from}%` }));
  }
  track.append(placed(h("span", { class: "here" }), { left: share(read.value) }));
  const words = `${label}: ${number(read.value, read.digits)}${read.unit} on a scale from ${read.low} to ${read.high}`;
  return h(
    "div",
    { class: "scale", role: "img", "aria-label": words + (ranged(read) ? `, interval ${ranged(read)}` : "") },
    track,
    ticks,
  );
}

function headline(answer, label) {
  const read = reading(answer);
  const word = h(
    "h2",
    { class: `word${/^high/i.test(label) ? " high" : ""}`, tabindex: "-1" },
    label === "indeterminate" ? "Cannot be said" : label,
  );
  const said = h("div", { class: "said" }, word);
  if (!read) return [said];
  const interval = ranged(read);
  said.append(
    h(
      "p",
      { class: "value" },
      h("b", {}, `${number(read.value, read.digits)}${read.unit}`),
      interval ? h("span", { class: "soft" }, `, between ${interval.replace(" to ", " and ")}`) : null,
    ),
  );
  return [said, scale(read, read.name)];
}

function probabilities(answer) {
  const classes = Object.entries(answer.probability ?? {});
  if (classes.length < 3) return null;
  const rows = classes.map(([name, value]) => {
    const [from, to] = answer.interval?.[name] ?? [value, value];
    const bar = h(
      "div",
      { class: "bar", "aria-hidden": "true" },
      placed(h("i", { class: "range" }), { left: `${100 * from}%`, width: `${100 * (to - from)}%` }),
      placed(h("i", { class: "at" }), { left: `${100 * value}%` }),
    );
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", { class: "number" }, percent(value)),
      h(
        "td",
        {},
        h(
          "div",
          { class: "probabilities" },
          placed(bar, { "grid-column": "1 / 3" }),
          h("small", {}, `${percent(from)} to ${percent(to)}`),
        ),
      ),
    );
  });
  return part(
    "How it comes about",
    h(
      "table",
      {},
      h("caption", {}, "How likely each class is, with its interval"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Class"),
          h("th", { scope: "col", class: "number" }, "Likely"),
          h("th", { scope: "col" }, "Interval"),
        ),
      ),
      h("tbody", {}, rows),
    ),
  );
}

function doubts(reasons) {
  if (!reasons?.length)
    return part(
      "Reasons for doubt",
      h("p", {}, "None was found in the recording itself. What limits the model stands below."),
    );
  return part(
    "Reasons for doubt",
    h(
      "ul",
      { class: "doubts" },
      reasons.map((reason) => h("li", {}, doubtSign(), h("span", {}, reason))),
    ),
  );
}

const standing = (percentile) => {
  if (typeof percentile !== "number") return "";
  if (percentile <= 1) return "among the lowest in training";
  if (percentile >= 99) return "among the highest in training";
  return `higher than ${Math.round(percentile)} of 100 in training`;
};

function explanation(found) {
  if (!found) return null;
  const unit = found.unit === "points" ? "points" : "percentage points";
  const groups = found.by_group.slice(0, MOST_GROUPS);
  const most = Math.max(...found.by_group.map((row) => Math.abs(row.contribution)), 1e-9);
  const foremost = (row) => {
    const members = found.contributions.filter((marker) => marker.group === row.group);
    members.sort((one, other) => (other.contribution - one.contribution) * Math.sign(row.contribution));
    return members[0];
  };
  const rows = groups.map((row) => {
    const share = (50 * Math.abs(row.contribution)) / most;
    const less = row.contribution < 0;
    const bar = placed(h("i", { class: less ? "less" : "more" }), {
      left: `${less ? 50 - share : 50}%`,
      width: `${share}%`,
    });
    const own = foremost(row);
    const words = own
      ? `${row.n > 1 ? "above all " : ""}${own.marker}${standing(own.percentile) ? `, ${standing(own.percentile)}` : ""}`
      : "";
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, row.group, h("br"), h("small", {}, words)),
      h("td", { class: "bar" }, h("span", { class: "diverge", "aria-hidden": "true" }, bar)),
      h("td", { class: "number" }, signed(row.contribution)),
    );
  });
  const digits = found.unit === "points" ? "" : " %";
  const markers = found.contributions
    .slice(0, MOST_MARKERS)
    .map((marker) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, marker.marker),
        h("td", { class: "number" }, `${short(marker.value)} ${marker.unit ?? ""}`),
        h("td", { class: "number" }, short(marker.typical)),
        h("td", { class: "number" }, typeof marker.percentile === "number" ? number(marker.percentile, 0) : "–"),
        h("td", { class: "number" }, signed(marker.contribution)),
      ),
    );
  return part(
    "What moved it",
    h(
      "table",
      { class: "bars" },
      h(
        "caption",
        {},
        `From ${number(found.baseline)}${digits}, the median of the voices in training, to ${number(found.value)}${digits}; in ${unit}`,
      ),
      h(
        "thead",
        { class: "unseen" },
        h("tr", {}, h("th", { scope: "col" }, "Group of markers"), h("td"), h("th", { scope: "col" }, "Contribution")),
      ),
      h("tbody", {}, rows),
    ),
    h(
      "details",
      {},
      h("summary", {}, "Single markers"),
      h(
        "div",
        { class: "wide-table", tabindex: "0", role: "region", "aria-label": "Single markers" },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["Marker", "Here", "Typical", "Percentile", "Moved by"].map((name, place) =>
                h("th", { scope: "col", class: place ? "number" : null }, name),
              ),
            ),
          ),
          h("tbody", {}, markers),
        ),
      ),
    ),
    h("p", { class: "fine" }, found.caution),
    (found.notes ?? []).map((note) => h("p", { class: "fine" }, note)),
  );
}

export function pictures(addresses) {
  const shown = Object.entries(PICTURES).filter(([name]) => addresses?.[name]);
  if (!shown.length) return null;
  return part(
    "Pictures",
    h(
      "div",
      { class: "pictures" },
      shown.map(([name, words]) =>
        h(
          "figure",
          {},
          h(
            "a",
            { href: addresses[name], target: "_blank", rel: "noopener" },
            h("img", { src: addresses[name], alt: words, loading: "lazy" }),
          ),
          h("figcaption", {}, words),
        ),
      ),
    ),
  );
}

function recordingFacts(quality, duration) {
  const known = quality ?? {};
  const length = known.duration_s ?? duration;
  const rows = [
    ["Length", lasting(length)],
    ["Voice in it", typeof known.voiced_fraction === "number" && length ? lasting(known.voiced_fraction * length) : ""],
    ["Above the noise", typeof known.snr_db === "number" ? `${number(known.snr_db, 0)} dB` : ""],
    ["Carries up to", typeof known.bandwidth_hz === "number" ? `${number(known.bandwidth_hz / 1000, 1)} kHz` : ""],
    ["Clipped", typeof known.clipped_fraction === "number" ? `${number(100 * known.clipped_fraction, 1)} %` : ""],
  ].filter(([, value]) => value);
  return rows.length
    ? part(
        "The recording",
        h(
          "dl",
          { class: "facts" },
          rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
        ),
      )
    : null;
}

function origin(training) {
  if (!training) return null;
  const speakers = training.n_speakers ? ` of ${training.n_speakers} speakers` : "";
  const rows = [
    ["Learned from", `${training.n_recordings} recordings${speakers}${training.corpus ? `: ${training.corpus}` : ""}`],
    ["Who they were", [training.sex, training.age].filter(Boolean).join(", ")],
    ["Licence", training.licence],
  ].filter(([, value]) => value);
  return part(
    "The model",
    training.notice ? h("p", { class: "notice small" }, training.notice) : null,
    h(
      "dl",
      { class: "facts" },
      rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
  );
}

function links(id, report) {
  return h(
    "p",
    { class: "row part" },
    report ? h("a", { class: "button", href: report, target: "_blank", rel: "noopener" }, "Open the report") : null,
    id
      ? h("a", { class: "button quiet", href: `#log/${id}` }, "See it in the log")
      : h("span", { class: "soft" }, "Not kept in the log."),
  );
}

/**
 * Show what the service said of one recording.
 *
 * found: a reply of POST /analyze-…, or a recording of the log; both have answer, quality, explanation, pictures, or night.
 * inLog: it is shown in the log already.
 */
export function showAnswer(found, { inLog = false } = {}) {
  const id = found.recording_id ?? found.id ?? null;
  const report = found.report ?? (id ? `/recordings/${id}/report.html` : null);
  const eyebrow = [
    conditionName(found.condition ?? found.answer?.condition),
    found.person,
    found.file_name,
    moment(found.created_at),
  ]
    .filter(Boolean)
    .join(" · ");
  const sheet = h("article", { class: "sheet" }, h("p", { class: "eyebrow" }, eyebrow));
  const night = found.night?.summary ? found.night : found.night?.report; // the log has the report inside
  if (night) {
    sheet.append(...[...showNight(night), pictures(found.pictures)].filter(Boolean));
  } else if (found.answer) {
    const { answer } = found;
    const label = answer.label ?? found.status;
    sheet.append(
      ...[
        ...headline(answer, label),
        doubts(answer.reasons),
        probabilities(answer),
        explanation(found.explanation),
        pictures(found.pictures),
        recordingFacts(found.quality, found.duration_s),
        origin(answer.training),
      ].filter(Boolean),
    );
  } else {
    sheet.append(
      h(
        "div",
        { class: "said" },
        h(
          "h2",
          { class: "word", tabindex: "-1" },
          UNANSWERED[found.night?.state] ?? found.status ?? "No answer was kept",
        ),
      ),
    );
  }
  const onward = inLog ? null : links(id, report);
  if (onward) sheet.append(onward);
  const disclaimer = found.answer?.disclaimer ?? night?.disclaimer;
  if (disclaimer) sheet.append(h("p", { class: "fine part" }, disclaimer));
  return sheet;
}
