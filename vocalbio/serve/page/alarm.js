// An alert is seen (a banner that stays), heard (a tone) and, where it may be, told by the system.

import { byId, h } from "./elements.js";

const NOTES = [
  [784, 0],
  [988, 0.22],
  [784, 0.44],
];
const AGAIN_MS = 8000;
const MOST_TIMES = 5;

export class Tone {
  constructor() {
    this.volume = 0.6;
    this.muted = false;
  }

  /** To be called from a press of a button: browsers allow sound only then. */
  async wake() {
    this.context ??= new AudioContext();
    await this.context.resume();
  }

  play() {
    if (this.muted || !this.context || !this.volume) return;
    const { context } = this;
    for (const [frequency, after] of NOTES) {
      const start = context.currentTime + after;
      const gain = new GainNode(context, { gain: 0 });
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(0.5 * this.volume ** 2, start + 0.03); // loudness grows evenly with the slider
      gain.gain.exponentialRampToValueAtTime(0.0001, start + 0.6);
      const tone = new OscillatorNode(context, { frequency, type: "triangle" });
      tone.connect(gain).connect(context.destination);
      tone.start(start);
      tone.stop(start + 0.65);
    }
  }

  async close() {
    await this.context?.close();
    this.context = null;
  }
}

export class Alarm {
  constructor(tone) {
    this.tone = tone;
    this.notifies = false;
  }

  /** Ask whether the system may tell as well; the words say how it went. */
  async askToNotify() {
    this.notifies = false;
    if (!("Notification" in window)) return "This browser shows no system notifications from a page.";
    const answer =
      Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission;
    this.notifies = answer === "granted";
    return this.notifies
      ? "The system will show alerts too."
      : "Not allowed: the browser’s settings for this page say no to notifications.";
  }

  raise(title, words) {
    const seen = h("button", { type: "button", onclick: () => this.clear() }, "I have seen it");
    byId("alert").replaceChildren(h("p", {}, h("strong", {}, title), words), seen);
    byId("alert").hidden = false;
    clearInterval(this.timer);
    let times = 1;
    this.tone.play();
    this.timer = setInterval(() => {
      times += 1;
      this.tone.play();
      if (times >= MOST_TIMES) clearInterval(this.timer);
    }, AGAIN_MS);
    this.notify(title, words);
  }

  notify(title, body) {
    if (!this.notifies) return;
    try {
      this.shown = new Notification(title, { body, tag: "vocalbio", icon: "/page/icon.svg", requireInteraction: true });
      this.shown.onclick = () => window.focus();
    } catch {
      this.notifies = false; // phones allow them to installed pages only
    }
  }

  clear() {
    clearInterval(this.timer);
    this.shown?.close();
    this.shown = null;
    byId("alert").hidden = true;
    byId("alert").replaceChildren();
  }
}
