// One person's days against their own first days.

import { s } from "./elements.js";
import { day, dayOfYear, number } from "./words.js";

const HEIGHT = 300;
const MARGIN = { left: 42, right: 14, top: 14, bottom: 34 };
const DAY_MS = 86_400_000;

/** Round steps for an axis of so many units. */
function step(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

function dayClass({ in_baseline: based, beyond, reliable }) {
  if (reliable) return "day reliable";
  if (beyond) return "day beyond";
  return based ? "day based" : "day";
}

/** Draw a track (`Track.to_dict()`) `width` pixels wide. */
export function chart(track, width) {
  const days = track.days.filter((entry) => typeof entry.score === "number");
  const times = days.map((entry) => new Date(entry.date).getTime());
  const { baseline } = track;
  const heights = [...days.map((entry) => entry.score), baseline.low, baseline.high].filter(Number.isFinite);
  let [low, high] = [Math.min(...heights), Math.max(...heights)];
  // one quiet day is no drama: never less than a fifth of the scale
  const short = Math.max(0, (high > 1 ? 20 : 0.2) - (high - low)) / 2;
  [low, high] = [low - short, high + short];
  const rise = step(high - low, 4);
  [low, high] = [rise * Math.floor(low / rise - 0.15), rise * Math.ceil(high / rise + 0.15)];
  const first = Math.min(...times) - DAY_MS / 2;
  const last = Math.max(...times, first + 7 * DAY_MS) + DAY_MS / 2;
  const x = (time) => MARGIN.left + ((width - MARGIN.left - MARGIN.right) * (time - first)) / (last - first);
  const y = (score) => MARGIN.top + ((HEIGHT - MARGIN.top - MARGIN.bottom) * (high - score)) / (high - low);
  const [left, right, bottom] = [MARGIN.left, width - MARGIN.right, HEIGHT - MARGIN.bottom];

  const drawn = [];
  if (Number.isFinite(baseline.low) && Number.isFinite(baseline.high)) {
    drawn.push(
      s("rect", {
        class: "band",
        x: left,
        width: right - left,
        y: y(baseline.high),
        height: y(baseline.low) - y(baseline.high),
      }),
    );
  }
  for (let score = low; score <= high + rise / 100; score += rise) {
    drawn.push(s("line", { class: "grid", x1: left, x2: right, y1: y(score), y2: y(score) }));
    drawn.push(s("text", { x: left - 8, y: y(score) + 4, "text-anchor": "end" }, number(score, rise < 1 ? 2 : 0)));
  }
  if (Number.isFinite(baseline.centre))
    drawn.push(s("line", { class: "centre", x1: left, x2: right, y1: y(baseline.centre), y2: y(baseline.centre) }));
  const every = Math.max(1, Math.ceil((last - first) / DAY_MS / Math.max(2, Math.floor(width / 90))));
  for (let time = new Date(times[0]).setHours(0, 0, 0, 0); time <= last; time += every * DAY_MS) {
    drawn.push(
      s("text", { x: Math.max(x(time), left + 14), y: HEIGHT - 8, "text-anchor": "middle" }, dayOfYear(new Date(time))),
    );
  }
  drawn.push(
    s("polyline", {
      class: "path",
      points: days.map((entry, place) => `${x(times[place])},${y(entry.score)}`).join(" "),
    }),
  );
  days.forEach((entry, place) => {
    const title = `${day(entry.date)}: ${number(entry.score)}`;
    drawn.push(
      s(
        "circle",
        { class: dayClass(entry), cx: x(times[place]), cy: y(entry.score), r: entry.reliable ? 6 : 5 },
        s("title", {}, title),
      ),
    );
  });
  drawn.push(s("line", { class: "grid", x1: left, x2: right, y1: bottom, y2: bottom }));
  const label = `${days.length} days from ${day(days[0].date)} to ${day(days.at(-1).date)}; the table below holds the same numbers`;
  return s(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label },
    drawn,
  );
}

const mark = (name) =>
  s(
    "svg",
    { class: "chart", viewBox: "0 0 16 16", "aria-hidden": "true" },
    s("circle", { class: name, cx: 8, cy: 8, r: 5.5 }),
  );

const band = () =>
  s(
    "svg",
    { class: "chart", viewBox: "0 0 16 16", "aria-hidden": "true" },
    s("rect", { class: "band", x: 0, y: 2, width: 16, height: 12 }),
    s("line", { class: "centre", x1: 0, x2: 16, y1: 8, y2: 8 }),
  );

export const KEY = [
  [band, "baseline, and where a day of an unchanged person lies"],
  [() => mark("day based"), "day of the baseline"],
  [() => mark("day"), "later day"],
  [() => mark("day beyond"), "beyond the limits"],
  [() => mark("day reliable"), "reliable change"],
];
