// Numbers, lengths and dates as people read them.

/** A number with so many digits after the point; a dash where there is none. */
export const number = (value, digits = 1) =>
  typeof value === "number" && Number.isFinite(value) ? value.toFixed(digits).replace(/^-/, "−") : "–";

export const signed = (value, digits = 1) => (value > 0 ? "+" : "") + number(value, digits);

/** About three digits that count, without trailing noise. */
export function short(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return number(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

export const percent = (value) => (typeof value === "number" ? `${number(100 * value, 0)} %` : "–");

/** 75 -> "1:15"; with hours once there is one, or always. */
export function clock(seconds, { hours = false } = {}) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return h || hours ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** How long something lasts, in words. */
export function lasting(seconds) {
  if (typeof seconds !== "number") return "";
  if (seconds < 60) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) {
    const [minutes, rest] = [Math.floor(Math.round(seconds) / 60), Math.round(seconds) % 60];
    return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  }
  return `${number(seconds / 3600, 1)} h`;
}

export const size = (bytes) =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${number(bytes / 1e6, 1)} MB`;

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const DAY_OF_YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const MOMENT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const HOUR = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const written = (format, text) => {
  // a bare date is a day here, not midnight in Greenwich
  const bare = typeof text === "string" && /^\d{4}-\d\d-\d\d$/.test(text);
  const date = text instanceof Date ? text : new Date(bare ? `${text}T00:00:00` : (text ?? NaN));
  return Number.isNaN(date.getTime()) ? "" : format.format(date);
};
export const day = (text) => written(DAY, text);
export const dayOfYear = (text) => written(DAY_OF_YEAR, text);
export const moment = (text) => written(MOMENT, text);
export const hour = (text) => written(HOUR, text);

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

const CONDITION_NAMES = { stress: "Stress", depression: "Depression", apnea: "Breathing in sleep" };
export const conditionName = (condition) => CONDITION_NAMES[condition] ?? String(condition ?? "");

/** "apnea" is what a microphone hears, not airflow: it is called a pause. */
const EVENT_NAMES = { apnea: "Pause", hypopnea: "Weaker breathing" };
export const eventName = (kind) => EVENT_NAMES[kind] ?? String(kind ?? "");
