// Sound that the browser did not deliver: a sleeping device, a hidden tab, a telephone call. It is found by two clocks.

const STOPPED_S = 2; // without a block
const SETTLED_S = 1; // after which late blocks have come and only what is lost is missing
const LEAST_LOST_S = 0.5;
const DRIFT = 2e-4; // sound cards and clocks differ by less

export class Timeline {
  /** sound(samples) gets all blocks in order; lost(seconds) is called where some are missing. */
  constructor({ sound, lost }) {
    this.sound = sound;
    this.lost = lost;
    this.behind = null; // of the card's clock behind the wall clock when nothing waits, in seconds
    this.last = null;
    this.held = null;
  }

  /** A block; `time` on the sound card's clock, `now` on the wall clock, in seconds. */
  push({ samples, time }, now = Date.now() / 1000) {
    const behind = now - time;
    const passed = this.last === null ? 0 : now - this.last;
    this.last = now;
    this.behind ??= behind;
    if (!this.held && passed <= STOPPED_S) {
      this.behind = Math.min(behind, this.behind + DRIFT * Math.max(0, passed));
      this.sound(samples);
      return;
    }
    this.held ??= { since: now, least: behind, blocks: [] };
    this.held.blocks.push(samples);
    this.held.least = Math.min(this.held.least, behind);
    if (now - this.held.since >= SETTLED_S) this.settle();
  }

  /** Send on what is held back. */
  settle() {
    if (!this.held) return;
    const { least, blocks } = this.held;
    this.held = null;
    const missing = least - this.behind;
    if (missing > LEAST_LOST_S) {
      this.lost(missing);
      this.behind = least;
    }
    blocks.forEach((block) => this.sound(block));
  }
}
