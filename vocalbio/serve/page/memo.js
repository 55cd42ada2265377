// The first view: a memo is recorded or chosen, sent, and answered.

import { showAnswer } from "./answer.js";
import { byId, fill, h, placed } from "./elements.js";
import { decibels, Microphone, wav, whyNoMicrophone } from "./microphone.js";
import * as server from "./server.js";
import { clock, plural, size } from "./words.js";

const LONGEST_S = 600; // of a memo made here
const LOUD = 0.97; // of full scale: about to be clipped

const HOW_TO_READ = [
  ["here", "the number that the model gives"],
  ["span", "its interval: where it may as well lie"],
  ["above", "above the limit"],
];

let sound = null; // {blob, name}
let take = null; // {microphone, blocks, length, rate}
let limits = {};
let learned = () => {};

function empty() {
  const key = HOW_TO_READ.map(([mark, words]) =>
    h(
      "li",
      {},
      h(
        "span",
        { class: "sample scale", "aria-hidden": "true" },
        h("span", { class: "track" }, h("span", { class: mark })),
      ),
      words,
    ),
  );
  return h(
    "div",
    { class: "empty" },
    h("h2", {}, "How the answer is read"),
    h(
      "p",
      {},
      "A word first, then a number on its scale, then every reason to doubt it, and what in the voice moved it.",
    ),
    h("ul", { class: "marks" }, key),
    h(
      "p",
      {},
      "It compares this voice with those that the model has learned from. It knows nothing else of the person.",
    ),
  );
}

function state(name) {
  const drop = byId("drop");
  drop.dataset.state = name;
  byId("analyse").classList.toggle("primary", name === "ready");
  for (const part of drop.querySelectorAll(".state")) part.hidden = part.dataset.state !== name;
}

function wrong(words) {
  byId("sound-wrong").hidden = !words;
  byId("sound-wrong").textContent = words ?? "";
}

function keep(blob, name) {
  if (!blob.size) return wrong(`${name} is empty. Choose another file.`);
  if (limits.max_upload_mb && blob.size > limits.max_upload_mb * 1e6) {
    return wrong(`${name} has ${size(blob.size)}; this service takes up to ${limits.max_upload_mb} MB.`);
  }
  wrong(null);
  forget();
  sound = { blob, name, address: URL.createObjectURL(blob) };
  byId("memo-name").textContent = name;
  byId("memo-size").textContent = size(blob.size);
  byId("memo-audio").src = sound.address;
  state("ready");
  byId("analyse").focus();
}

function forget() {
  if (!sound) return;
  byId("memo-audio").removeAttribute("src");
  URL.revokeObjectURL(sound.address);
  sound = null;
}

function heard({ samples, rms, peak }) {
  if (!take) return;
  take.blocks.push(samples);
  take.length += samples.length;
  byId("memo-clock").textContent = clock(take.length / take.rate);
  const level = decibels(rms);
  const meter = byId("memo-meter");
  meter.setAttribute("aria-valuenow", Math.round(Math.max(-60, level)));
  meter.setAttribute("aria-valuetext", `${Math.round(level)} decibels`);
  meter.classList.toggle("loud", peak > LOUD);
  placed(meter.firstElementChild, { width: `${Math.max(0, Math.min(100, (100 * (level + 60)) / 60))}%` });
  if (peak > LOUD) take.loudAt = take.length;
  const quiet = take.length > 2 * take.rate && level < -58;
  byId("memo-level").textContent =
    take.loudAt && take.length - take.loudAt < take.rate
      ? "Too loud: move away a little"
      : quiet
        ? "Very quiet: come closer"
        : "Listening";
  if (take.length / take.rate >= Math.min(LONGEST_S, limits.max_duration_s ?? LONGEST_S)) stop();
}

async function record() {
  wrong(null);
  byId("record").disabled = true;
  try {
    take = { blocks: [], length: 0, rate: 48000 };
    const microphone = await Microphone.open({
      heard,
      ended: (words) => {
        stop();
        wrong(words);
      },
    });
    Object.assign(take, { microphone, rate: microphone.rate });
    state("recording");
    byId("stop").focus();
  } catch (error) {
    take = null;
    wrong(error.message);
  } finally {
    byId("record").disabled = false;
  }
}

function stop({ discard = false } = {}) {
  if (!take?.microphone) return;
  const { microphone, blocks, length, rate } = take;
  take = null;
  microphone.close();
  state("empty");
  if (discard || !length) byId("record").focus();
  else keep(wav(blocks, rate), "memo.wav");
}

function working(stopped) {
  const seconds = h("span", { class: "soft" }, "");
  const started = performance.now();
  const timer = setInterval(() => (seconds.textContent = clock((performance.now() - started) / 1000)), 1000);
  const panel = h(
    "div",
    { class: "sheet working" },
    h("p", {}, h("b", {}, "Listening to the recording"), " ", h("span", { "aria-hidden": "true" }, seconds)),
    h("div", { class: "progress", "aria-hidden": "true" }, h("i")),
    h("button", { type: "button", onclick: stopped }, "Stop"),
  );
  return { panel, done: () => clearInterval(timer) };
}

async function analyse(event) {
  event.preventDefault();
  if (take) stop();
  if (!sound) {
    wrong("There is no recording yet. Record one or choose a file.");
    byId("record").focus();
    return;
  }
  const form = byId("memo-form");
  const condition = new FormData(form).get("condition");
  const place = byId("memo-answer");
  const abort = new AbortController();
  const { panel, done } = working(() => abort.abort());
  fill(place, panel);
  byId("memo-said").textContent = "Listening to the recording";
  byId("analyse").disabled = true;
  try {
    const reply = await server.analyse(condition, sound.blob, sound.name, {
      person: byId("memo-person").value.trim(),
      save: form.elements.save.checked,
      keepAudio: form.elements.save.checked && form.elements.keep_audio.checked,
      signal: abort.signal,
    });
    const answered = showAnswer({ ...reply, condition, file_name: sound.name, created_at: new Date() });
    place.replaceChildren(answered);
    byId("memo-said").textContent = inWords(answered);
    answered.querySelector(".word")?.focus({ preventScroll: true });
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    answered.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
    learned();
  } catch (error) {
    byId("memo-said").textContent = "";
    place.replaceChildren(error.name === "AbortError" ? empty() : refused(error));
  } finally {
    done();
    byId("analyse").disabled = false;
  }
}

/** What a screen reader says when the answer is there; all of it can be read at leisure. */
function inWords(answered) {
  const count = answered.querySelectorAll(".doubts li").length;
  const doubts = count ? plural(count, "reason") : "No reason";
  return `${answered.querySelector(".said").textContent}. ${doubts} for doubt.`;
}

const refused = (error) =>
  h(
    "div",
    { class: "empty" },
    h("h2", {}, "No answer"),
    h("p", { role: "alert" }, error.message),
    h("p", {}, "The recording is still here; nothing was kept of it."),
  );

/** What the service can answer, and may keep. */
export function setUp(found, people) {
  learned = people;
  limits = found.limits ?? {};
  byId("keep-row").hidden = !limits.keep_audio;
  for (const input of byId("memo-form").elements.condition) {
    const able = found.conditions?.[input.value] !== false;
    input.disabled = !able;
    if (!able) {
      const about = document.querySelector(`[data-about="${input.value}"]`);
      about.textContent = "No model is loaded. Start the service with one: vocalbio serve --model NAME.vocalbio";
      if (input.checked) [...byId("memo-form").elements.condition].find((other) => !other.disabled)?.click();
    }
  }
}

export function begin() {
  state("empty");
  byId("memo-answer").replaceChildren(empty());
  byId("record").addEventListener("click", record);
  byId("stop").addEventListener("click", () => stop());
  byId("discard").addEventListener("click", () => stop({ discard: true }));
  byId("remove").addEventListener("click", () => {
    forget();
    state("empty");
    byId("record").focus();
  });
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files.length) keep(target.files[0], target.files[0].name);
    target.value = "";
  });
  const drop = byId("drop");
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length && !take) {
        keep(event.dataTransfer.files[0], event.dataTransfer.files[0].name);
      }
    });
  }
  const { save, keep_audio: keepAudio } = byId("memo-form").elements;
  save.addEventListener("change", () => (keepAudio.disabled = !save.checked));
  byId("memo-form").addEventListener("submit", analyse);
  const missing = whyNoMicrophone();
  if (missing) {
    byId("record").disabled = true;
    wrong(missing);
  }
}

/** Leaving the view ends a recording: the microphone is open only while it is seen to be. */
export const leave = () => stop();
