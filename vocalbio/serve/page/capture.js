// AudioWorklet: sound from the microphone in blocks, mixed to mono, with its level. Nothing else touches it.

const BLOCK = 2048;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
  }

  process([channels]) {
    if (!channels.length) return true;
    for (let frame = 0; frame < channels[0].length; frame += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[frame];
      this.block[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === BLOCK) this.send();
    }
    return true;
  }

  send() {
    let power = 0;
    let peak = 0;
    for (const value of this.block) {
      power += value * value;
      peak = Math.max(peak, Math.abs(value));
    }
    const samples = this.block;
    // the time of the block's last sample on the sound card's clock
    this.port.postMessage({ samples, rms: Math.sqrt(power / BLOCK), peak, time: currentTime }, [samples.buffer]);
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
