// The microphone as it is: no echo cancellation, noise suppression or gain control, which would remove breath.

const ASKED = {
  audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  video: false,
};

const NO_TLS =
  "Browsers give the microphone only to pages that came over TLS (https://) or from the same machine (http://127.0.0.1). " +
  "Open this page there, or start the service with a certificate: vocalbio serve --host 0.0.0.0 --certificate cert.pem --key key.pem.";

const WHY_NOT = {
  NotAllowedError:
    "The browser does not let this page use the microphone. Allow it at the sign beside the address, or in the system’s privacy settings, and try again.",
  NotFoundError: "No microphone was found. Connect one and try again.",
  NotReadableError:
    "The microphone cannot be opened; another program may be using it. Close that program and try again.",
};

/** Why there can be no microphone here, before anybody is asked; null where there can. */
export const whyNoMicrophone = () => {
  if (!window.isSecureContext) return NO_TLS;
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
    return "This browser cannot record sound from a page. Use a current Firefox, Chrome, Edge or Safari.";
  }
  return null;
};

/** level in dB of full scale, never below -90 */
export const decibels = (rms) => Math.max(-90, 20 * Math.log10(rms + 1e-9));

export class Microphone {
  /**
   * Ask for the microphone and begin to listen.
   *
   * heard({samples, rms, peak, time}) is called for each block: float32 mono at `rate`; `time` on the sound card's clock.
   * ended(words) is called once if the microphone goes away by itself.
   */
  static async open({ heard, ended }) {
    const missing = whyNoMicrophone();
    if (missing) throw new Error(missing);
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia(ASKED);
    } catch (error) {
      throw new Error(WHY_NOT[error.name] ?? `The microphone cannot be opened: ${error.message}.`);
    }
    const microphone = new Microphone(stream, ended);
    try {
      await microphone.listen(heard);
    } catch (error) {
      await microphone.close();
      throw new Error(`The microphone was opened, but nothing can be heard from it: ${error.message}.`);
    }
    return microphone;
  }

  constructor(stream, ended) {
    this.stream = stream;
    this.context = new AudioContext();
    this.rate = this.context.sampleRate;
    stream
      .getAudioTracks()[0]
      .addEventListener("ended", () => ended?.("The microphone was disconnected or switched off."));
    // phones interrupt for a call, and some browsers after sleep
    this.context.addEventListener("statechange", () => {
      if (this.context.state !== "running" && this.context.state !== "closed") this.context.resume().catch(() => {});
    });
  }

  async listen(heard) {
    await this.context.audioWorklet.addModule("/page/capture.js");
    await this.context.resume();
    const node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 1, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => heard(data);
    this.context.createMediaStreamSource(this.stream).connect(node);
    node.connect(this.context.destination); // its output is silence; some browsers run only what is connected
  }

  async close() {
    for (const track of this.stream.getTracks()) track.stop();
    if (this.context.state !== "closed") await this.context.close();
  }
}

/** 16-bit PCM WAV of float32 blocks: no codec takes anything away. */
export function wav(blocks, rate) {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * length));
  const text = (at, word) => [...word].forEach((letter, place) => view.setUint8(at + place, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * length, true);
  let at = 44;
  for (const block of blocks) {
    for (const value of block) {
      view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(32768 * value))), true);
      at += 2;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}
