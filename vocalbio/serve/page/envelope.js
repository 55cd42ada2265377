// The last minute of loudness, as a band that moves; events lie behind it.

const SHOWN_S = 60;
const LOWEST_DB = -80;

export class Envelope {
  constructor(canvas) {
    this.canvas = canvas;
    this.points = []; // [position_s, dB]
    this.spans = new Map(); // event number: [start_s, end_s]
    this.position = 0;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.low = LOWEST_DB;
    this.high = -30;
  }

  start() {
    const step = (now) => {
      if (!this.running) return;
      // with reduced motion one picture a second, no scrolling
      if (!this.calm.matches || now - (this.drawn ?? 0) > 1000) {
        this.drawn = now;
        this.draw();
      }
      requestAnimationFrame(step);
    };
    this.points = [];
    this.spans.clear();
    this.position = 0;
    this.running = true;
    requestAnimationFrame(step);
  }

  stop() {
    this.running = false;
  }

  /** The level of the next `seconds` of sound. */
  add(level, seconds) {
    this.position += seconds;
    this.points.push([this.position, level]);
    while (this.points.length && this.points[0][0] < this.position - SHOWN_S - 1) this.points.shift();
  }

  gap(seconds) {
    this.position += seconds;
  }

  mark(number, start, end) {
    if (start === null) this.spans.delete(number);
    else this.spans.set(number, [start, end]);
  }

  /** From the room's noise to the loudest breath, followed slowly: a quiet sleeper fills the picture too. */
  follow() {
    const levels = this.points.map(([, level]) => level).sort((one, other) => one - other);
    if (levels.length < 20) return;
    const low = levels[Math.floor(0.05 * levels.length)] - 3;
    const high = Math.max(levels[Math.floor(0.995 * levels.length)] + 3, low + 25);
    this.low += 0.05 * (low - this.low);
    this.high += 0.05 * (high - this.high);
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.follow();
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const paint = canvas.getContext("2d");
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, height);
    const x = (position) => width * (1 - (this.position - position) / SHOWN_S);
    for (const [start, end] of this.spans.values()) {
      const [from, to] = [Math.max(0, x(start)), Math.min(width, x(end))];
      if (to <= 0 || to <= from) continue;
      paint.fillStyle = colour("--warn-tint");
      paint.fillRect(from, 0, to - from, height);
      paint.fillStyle = colour("--warn");
      paint.fillRect(from, 0, to - from, 3);
    }
    paint.strokeStyle = colour("--line");
    paint.lineWidth = 1;
    for (let back = 10; back < SHOWN_S; back += 10) {
      const at = Math.round(width * (1 - back / SHOWN_S)) + 0.5;
      paint.beginPath();
      paint.moveTo(at, height - 8);
      paint.lineTo(at, height);
      paint.stroke();
    }
    const middle = height / 2;
    const half = (level) =>
      Math.max(
        1,
        (0.44 * height * (Math.max(this.low, Math.min(this.high, level)) - this.low)) / (this.high - this.low),
      );
    paint.fillStyle = colour("--accent");
    let previous = null;
    for (const [position, level] of this.points) {
      const to = x(position);
      const from = previous !== null && position - previous < 0.5 ? x(previous) : to - 1;
      paint.fillRect(from, middle - half(level), Math.max(1, to - from + 0.3), 2 * half(level));
      previous = position;
    }
  }
}
