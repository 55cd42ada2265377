// The second view: one night, live.

import { Alarm, Tone } from "./alarm.js";
import { Connection } from "./connection.js";
import { confirmed } from "./confirm.js";
import { byId, h } from "./elements.js";
import { Envelope } from "./envelope.js";
import { showNight } from "./findings.js";
import { decibels, Microphone, whyNoMicrophone } from "./microphone.js";
import { monitorAddress } from "./server.js";
import { Timeline } from "./timeline.js";
import { clock, eventName, hour, lasting, number, percent } from "./words.js";

const STATES = {
  starting: ["Getting to know the room", "Breathing is compared with what was heard before it."],
  breathing: ["Breathing", "It can be heard above the room."],
  snoring: ["Snoring", "Loud, deep and regular."],
  quiet: ["Quiet", "No breath stands out above the room. That may be distance, a turned head, or an empty bed."],
  shallow: ["Weaker breathing", "Counted as an event if it lasts."],
  pause: ["No breath heard", "Counted as an event from ten seconds on."],
  unusable: ["Cannot hear", "The sound is clipped, empty or interrupted."],
};

const tone = new Tone();
const alarm = new Alarm(tone);
const envelope = new Envelope(byId("envelope"));
let live = null; // {microphone, connection, timeline, started, heard_s, events, wakeLock}
let learned = () => {};

const saying = (words) => (byId("night-said").textContent = words);

function note(words, { calm = false, key = null } = {}) {
  const old = key && byId("night-notes").querySelector(`[data-key="${key}"]`);
  const made = h("p", { class: `notice small${calm ? " calm" : ""}`, "data-key": key }, words);
  if (old) old.replaceWith(made);
  else byId("night-notes").append(made);
}

const unnote = (key) => byId("night-notes").querySelector(`[data-key="${key}"]`)?.remove();

function link(words, on) {
  byId("night-link").textContent = words;
  byId("night-link").className = `eyebrow ${on ? "on" : "off"}`;
}

function show(part) {
  byId("night-start").hidden = part !== "start";
  byId("night-live").hidden = part !== "live";
  byId("night-lede").hidden = part !== "start";
  if (part !== "report") byId("night-report").replaceChildren();
  byId("nav-live").hidden = part !== "live";
}

function timeOf(seconds) {
  return live?.started ? hour(new Date(live.started.getTime() + 1000 * seconds)) : clock(seconds);
}

// Sound

function heard(block) {
  if (!live?.timeline) return;
  const seconds = block.samples.length / live.microphone.rate;
  live.heard_s += seconds;
  envelope.add(decibels(block.rms), seconds);
  live.timeline.push(block);
  const elapsed = clock(live.heard_s, { hours: true });
  if (elapsed !== byId("night-clock").textContent) {
    byId("night-clock").textContent = elapsed;
    byId("dark-clock").textContent = elapsed;
  }
}

function missing(seconds) {
  live.connection.lost(seconds);
  live.heard_s += seconds;
  envelope.gap(seconds);
  note(
    `${lasting(seconds)} of sound are missing before ${hour(new Date())}: the device slept, or the page was out of sight.`,
  );
}

// What the service says

function setState({ state, level_db: level }) {
  const [word, sentence] = STATES[state] ?? [String(state).replace(/^./, (letter) => letter.toUpperCase()), ""];
  for (const id of ["night-state", "dark-state"]) if (byId(id).textContent !== word) byId(id).textContent = word;
  byId("night-state").classList.toggle("away", state === "pause");
  byId("night-saying").textContent = sentence;
  byId("night-level").textContent = number(level, 0);
}

function setEvent({ event }) {
  const known = live.events.get(event.number);
  live.events.set(event.number, event);
  const standing = [...live.events.values()].filter((one) => !one.withdrawn);
  byId("night-count").textContent = String(standing.length);
  byId("no-events").hidden = standing.length > 0;
  byId("night-events").hidden = standing.length === 0;
  envelope.mark(event.number, event.withdrawn ? null : event.start_s, event.end_s);
  const old = document.querySelector(`#night-events tr[data-number="${event.number}"]`);
  if (event.withdrawn) {
    old?.remove();
    saying("The last event was withdrawn: what followed spoke against it.");
    return;
  }
  const row = h(
    "tr",
    { "data-number": event.number },
    h("th", { scope: "row" }, timeOf(event.start_s)),
    h("td", {}, eventName(event.kind), event.open ? h("small", {}, "may still change") : null),
    h("td", { class: "number" }, `${number(event.end_s - event.start_s, 0)} s`),
    h("td", {}, percent(event.confidence)),
  );
  if (old) old.replaceWith(row);
  else byId("night-events").tBodies[0].prepend(row);
  if (!known) saying(`${eventName(event.kind)} since ${timeOf(event.start_s)}`);
}

function setAlarm({ reason, time_s: time }) {
  const words = reason.replace(/^./, (letter) => letter.toUpperCase());
  alarm.raise(words, `At ${timeOf(time)}. Look at the sleeper.`);
  byId("dark").close();
}

function setReady(message) {
  live.started ??= new Date();
  link("Listening", true);
  if (live.broken) {
    unnote("broken");
    const gone = `The connection was lost at ${hour(live.broken)} and is back since ${hour(new Date())}.`;
    const onward = message.resumed
      ? " The night goes on."
      : " The night up to then is in the log; a new one has begun.";
    note(gone + onward, { calm: true });
    if (!message.resumed) forgetEvents();
    live.broken = null;
  }
}

function forgetEvents() {
  live.events.clear();
  live.started = new Date();
  live.heard_s = 0;
  byId("night-events").tBodies[0].replaceChildren();
  byId("night-events").hidden = true;
  byId("no-events").hidden = false;
  byId("night-count").textContent = "0";
  envelope.start();
}

function setBroken() {
  live.broken ??= new Date();
  link("Connection lost", false);
  byId("night-state").textContent = byId("dark-state").textContent = "Not watching";
  byId("night-saying").textContent = "Nothing can be found and no alert can come until the service is back.";
  note(
    `The connection was lost at ${hour(live.broken)}. This page tries again; up to two minutes of sound are kept until then.`,
    { key: "broken" },
  );
}

function setReport({ night, night_id: id }) {
  release();
  show("report");
  const sheet = h("article", { class: "sheet" }, h("p", { class: "eyebrow" }, "This night"), ...showNight(night));
  sheet.append(
    h(
      "p",
      { class: "row part" },
      id
        ? h(
            "a",
            { class: "button", href: `/nights/${id}/report.html`, target: "_blank", rel: "noopener" },
            "Open the report",
          )
        : null,
      id
        ? h("a", { class: "button quiet", href: `#log/${id}` }, "See it in the log")
        : h("span", { class: "soft" }, "Not kept in the log."),
      h(
        "button",
        { type: "button", class: "quiet", onclick: () => (clearNotes(), show("start"), byId("night-title").focus()) },
        "Another night",
      ),
    ),
  );
  if (night.disclaimer) sheet.append(h("p", { class: "fine part" }, night.disclaimer));
  byId("night-report").replaceChildren(sheet);
  sheet.querySelector(".word")?.focus();
  learned();
}

function setError({ error }) {
  release();
  show("start");
  note(error);
}

const clearNotes = () => byId("night-notes").replaceChildren();

// The screen

async function keepAwake() {
  if (!live || document.visibilityState !== "visible") return;
  if (!navigator.wakeLock) {
    byId("wake").textContent =
      "This browser cannot keep the screen on. Set the screen’s time-out to never for tonight.";
    return;
  }
  try {
    live.wakeLock = await navigator.wakeLock.request("screen");
    byId("wake").textContent = "The screen stays on while this page is in front.";
  } catch (error) {
    byId("wake").textContent =
      `The screen could not be kept on (${error.message}). Set its time-out to never for tonight.`;
  }
}

function seenAgain() {
  if (!live) return;
  if (document.visibilityState === "hidden") {
    live.hiddenSince = new Date();
    return;
  }
  keepAwake();
  if (live.hiddenSince) {
    note(
      `This page was out of sight from ${hour(live.hiddenSince)} to ${hour(new Date())}. Phones stop listening then; sound that is missing is told here.`,
      { key: "hidden", calm: true },
    );
    live.hiddenSince = null;
  }
}

// Beginning and end

async function start(event) {
  event.preventDefault();
  clearNotes();
  const button = byId("night-go");
  button.disabled = true;
  try {
    await tone.wake();
    if (byId("night-notify").checked) note(await alarm.askToNotify(), { calm: true });
    live = { heard_s: 0, events: new Map(), started: null, connection: null };
    live.microphone = await Microphone.open({
      heard,
      ended: (words) => {
        note(`${words} The night was ended at ${hour(new Date())}.`);
        end();
      },
    });
    live.timeline = new Timeline({ sound: (samples) => live?.connection?.send(samples), lost: missing });
    connect();
    show("live");
    setState({ state: "starting" });
    link("Connecting", false);
    byId("night-events").tBodies[0].replaceChildren();
    byId("night-events").hidden = true;
    byId("no-events").hidden = false;
    byId("night-count").textContent = "0";
    envelope.start();
    keepAwake();
    byId("night-title").focus();
  } catch (error) {
    release();
    show("start");
    note(error.message);
  } finally {
    button.disabled = false;
  }
}

function connect() {
  const person = byId("night-person").value.trim() || null;
  const hello = { sampling_rate_hz: live.microphone.rate, person, save: byId("night-save").checked };
  const here = (act) => (message) => live && act(message);
  live.connection = new Connection(monitorAddress(), hello, {
    ready: here(setReady),
    state: here(setState),
    event: here(setEvent),
    alarm: here(setAlarm),
    report: here(setReport),
    error: here(setError),
    broken: here(setBroken),
    warning: here(({ warning }) => note(warning, { key: "warning" })),
    gaveUp: here((seconds) => {
      live.gaveUp = (live.gaveUp ?? 0) + seconds;
      note(
        `${lasting(live.gaveUp)} of sound were lost: the service was away for longer than this page can keep sound.`,
        { key: "gave-up" },
      );
    }),
  });
}

async function end() {
  if (!live) return;
  const { microphone, timeline, connection } = live;
  byId("night-end").disabled = true;
  await microphone.close();
  timeline.settle();
  byId("night-state").textContent = "Making the report";
  byId("night-saying").textContent = "";
  connection.finish();
}

async function askToEnd() {
  const yes = await confirmed({
    title: "End the night?",
    words: "Listening stops, and the report is made of what was heard.",
    yes: "End it",
    no: "Go on",
  });
  if (yes) await end();
}

function release() {
  if (!live) return;
  const { microphone, connection, wakeLock } = live;
  live = null;
  envelope.stop();
  alarm.clear();
  microphone?.close();
  connection?.close();
  wakeLock?.release?.();
  byId("dark").close();
  byId("night-end").disabled = false;
}

export function begin(people) {
  learned = people;
  byId("night-start").addEventListener("submit", start);
  byId("night-end").addEventListener("click", askToEnd);
  byId("volume").addEventListener("input", ({ target }) => {
    tone.volume = target.value / 100;
    target.setAttribute("aria-valuetext", `${target.value} percent`);
  });
  byId("mute").addEventListener("click", ({ currentTarget }) => {
    tone.muted = !tone.muted;
    currentTarget.setAttribute("aria-pressed", String(tone.muted));
    currentTarget.textContent = tone.muted ? "Muted" : "Mute";
  });
  byId("try-tone").addEventListener("click", async () => {
    await tone.wake();
    tone.play();
  });
  byId("dim").addEventListener("click", () => byId("dark").showModal());
  byId("undim").addEventListener("click", () => byId("dark").close());
  byId("night-notify").addEventListener("change", async ({ target }) => {
    byId("notify-hint").textContent = target.checked
      ? await alarm.askToNotify()
      : "The browser will ask for permission.";
    if (target.checked && !alarm.notifies) target.checked = false;
  });
  document.addEventListener("visibilitychange", seenAgain);
  window.addEventListener("beforeunload", (event) => {
    if (live) event.preventDefault();
  });
  const missing = whyNoMicrophone();
  if (missing) {
    byId("night-go").disabled = true;
    note(missing);
  }
}
