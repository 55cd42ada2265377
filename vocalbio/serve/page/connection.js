// The live connection: sound goes out, findings come back. A broken line is taken up again; what was not yet taken is
// kept for a while and sent then; what had to be given up is told, never passed over.

const KEPT_S = 120;
const WAITS_MS = [500, 1000, 2000, 4000, 8000, 15000];
const MOST_BUFFERED = 1 << 20; // bytes that may wait in the socket itself
const MOST_LOST_S = 3600; // that one message may tell
const SLEPT_S = 30; // after so long without sound the service may have sent this page away: it comes back

export class Connection {
  /**
   * told: {ready, state, event, alarm, report, warning, error}, each called with the server's message;
   * `broken()` when the line is lost, `gaveUp(seconds)` when sound had to be dropped.
   */
  constructor(address, hello, told) {
    this.address = address;
    this.hello = hello;
    this.told = told;
    this.unsent = []; // {samples} or {lost: seconds}
    this.inFlight = []; // sent, not acknowledged: {samples, end}
    this.sent = 0; // samples on this line, as the server counts them
    this.unsentSamples = 0;
    this.nightId = null;
    this.attempt = 0;
    this.heardAt = this.sleptAt = -Infinity;
    this.wasReady = this.ready = this.finishing = this.finished = this.over = false;
    this.connect();
  }

  connect() {
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.ready = false;
    socket.onopen = () =>
      socket.send(JSON.stringify({ ...this.hello, ...(this.nightId === null ? {} : { resume: this.nightId }) }));
    socket.onmessage = ({ data }) => this.heard(JSON.parse(data));
    socket.onclose = ({ reason }) => this.closed(reason);
  }

  /** Sound of the microphone, float32. */
  send(samples) {
    if (this.over || this.finishing) return;
    const now = Date.now() / 1000;
    if (now - this.heardAt > SLEPT_S && this.heardAt > 0) this.sleptAt = now;
    this.heardAt = now;
    this.unsent.push({ samples });
    this.unsentSamples += samples.length;
    this.bound();
    this.pump();
  }

  /** So many seconds are missing here: the browser did not deliver them. */
  lost(seconds) {
    if (!this.over && seconds > 0) this.unsent.push({ lost: seconds });
  }

  /** No more sound will come; the report does. */
  finish() {
    this.finishing = true;
    this.pump();
  }

  close() {
    this.over = true;
    clearTimeout(this.timer);
    clearTimeout(this.waiting);
    this.socket.close();
  }

  heard(message) {
    if (message.type === "ready") {
      this.wasReady = this.ready = true;
      this.finished = false;
      this.attempt = 0;
      this.nightId = message.night_id ?? null;
      this.takeUp(message);
      this.told.ready(message);
      this.pump();
      return;
    }
    if (message.type === "ack") {
      while (this.inFlight.length && this.inFlight[0].end <= message.samples) this.inFlight.shift();
      return;
    }
    if (message.type === "report") this.over = true;
    if (message.type === "error") {
      const now = Date.now() / 1000;
      const slept = this.wasReady && (now - this.heardAt > SLEPT_S || now - this.sleptAt < 2 * SLEPT_S);
      if (slept) return; // the line is closed next, and taken up again
      this.over = true;
    }
    this.told[message.type]?.(message);
  }

  /** What was on its way when the line broke goes first. */
  takeUp({ samples = 0, resumed }) {
    const again = this.inFlight
      .filter(({ end }) => !resumed || end > samples)
      .map(({ samples: block }) => ({ samples: block }));
    this.unsent.unshift(...again);
    while (!resumed && this.unsent[0]?.lost !== undefined) this.unsent.shift(); // a new night begins with sound
    this.unsentSamples += again.reduce((sum, { samples: block }) => sum + block.length, 0);
    this.inFlight = [];
    this.sent = samples;
  }

  closed(reason) {
    this.ready = false;
    if (this.over) return;
    if (!this.wasReady) {
      this.over = true;
      this.told.error({
        error: reason || "The service does not take the sound. Is it still running, and may this page use it?",
      });
      return;
    }
    this.told.broken();
    this.timer = setTimeout(() => this.connect(), WAITS_MS[Math.min(this.attempt, WAITS_MS.length - 1)]);
    this.attempt += 1;
  }

  pump() {
    if (!this.ready || this.socket.readyState !== WebSocket.OPEN) return;
    while (this.unsent.length) {
      if (this.socket.bufferedAmount > MOST_BUFFERED) {
        clearTimeout(this.waiting);
        this.waiting = setTimeout(() => this.pump(), 100);
        return;
      }
      const { samples, lost } = this.unsent.shift();
      if (lost !== undefined) {
        for (let left = lost; left > 0; left -= MOST_LOST_S) {
          this.socket.send(
            JSON.stringify({ type: "lost", seconds: Math.round(1000 * Math.min(left, MOST_LOST_S)) / 1000 }),
          );
        }
        continue;
      }
      this.socket.send(samples);
      this.sent += samples.length;
      this.unsentSamples -= samples.length;
      this.inFlight.push({ samples, end: this.sent });
      if (this.inFlight.length * samples.length > KEPT_S * this.hello.sampling_rate_hz) this.inFlight.shift();
    }
    if (this.finishing && !this.finished) {
      this.finished = true;
      this.socket.send(JSON.stringify({ type: "finish" }));
    }
  }

  bound() {
    let dropped = 0;
    while (this.unsentSamples > KEPT_S * this.hello.sampling_rate_hz) {
      const { samples, lost } = this.unsent.shift();
      dropped += lost ?? samples.length / this.hello.sampling_rate_hz;
      this.unsentSamples -= samples?.length ?? 0;
    }
    if (!dropped) return;
    this.unsent.unshift({ lost: dropped }); // at its place: the next sound keeps its time
    this.told.gaveUp(dropped);
  }
}
