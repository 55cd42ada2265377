// The worker: an exported encoder, and a risk model if there is one, in WebAssembly. Samples in, states out.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";

const CONTEXT_FRAMES = 64; // dropped at inner edges of a long recording's pieces, as vocalbio.export does in Python

ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;

let encoder = null; // {session, facts}
let risk = null;

self.onmessage = async ({ data }) => {
  try {
    const answer = await { encoder: openEncoder, risk: openRisk, encode }[data.ask](data);
    self.postMessage({ answer }, answer.states ? [answer.states.buffer] : []);
  } catch (error) {
    self.postMessage({ error: String(error.message ?? error) });
  }
};

/** What vocalbio wrote into an ONNX file about it: an entry of field 14, the metadata, of its protocol buffer. */
function factsOf(bytes) {
  const fields = (from, to, visit) => {
    let at = from;
    const number = () => {
      let value = 0;
      for (let scale = 1; at < to; scale *= 128) {
        const byte = bytes[at++];
        value += (byte & 127) * scale;
        if (byte < 128) break;
      }
      return value;
    };
    while (at < to) {
      const tag = number();
      const length = { 0: () => (number(), 0), 1: () => 8, 2: () => number(), 5: () => 4 }[tag % 8];
      if (!length) throw new Error("This is not an ONNX file.");
      const size = length();
      if (tag % 8 === 2) visit(Math.floor(tag / 8), at, at + size);
      at += size;
    }
  };
  let facts = null;
  fields(0, bytes.length, (field, from, to) => {
    if (field !== 14) return;
    const entry = {};
    fields(from, to, (key, start, end) => (entry[key] = new TextDecoder().decode(bytes.subarray(start, end))));
    if (entry[1] === "vocalbio.json") facts = JSON.parse(entry[2]);
  });
  if (!facts) throw new Error("This file was not exported by vocalbio: it holds no description.");
  return facts;
}

async function open(bytes, kind, words) {
  const facts = factsOf(bytes);
  if (facts.kind !== kind) throw new Error(`This file holds a model of kind ${facts.kind}; expected ${words}.`);
  return { session: await ort.InferenceSession.create(bytes), facts };
}

async function openEncoder({ bytes }) {
  encoder = await open(new Uint8Array(bytes), "encoder", "an encoder");
  risk = null; // it belongs to the encoder before
  return { facts: encoder.facts, threads: ort.env.wasm.numThreads };
}

async function openRisk({ bytes }) {
  const found = await open(new Uint8Array(bytes), "RiskModel", "a risk model");
  const { facts } = found;
  found.places = facts.columns.map((column) => /_L(\d+)__(\d+)$/.exec(column)?.slice(1).map(Number));
  const layers = encoder.facts.layers;
  if (facts.takes !== "rows" || !found.places.every((place) => place && layers.includes(place[0])))
    throw new Error(
      "This risk model needs more than the encoder gives: columns other than means of its layers " +
        `${layers.join(", ")}. Train it on vb.Embedding alone.`,
    );
  if (!JSON.stringify(facts.extractor).includes(encoder.facts.weights))
    throw new Error("This risk model was trained on the states of another encoder, or on other weights.");
  risk = found;
  return { facts };
}

async function encode({ samples }) {
  const { facts } = encoder;
  if (samples.length < facts.fewest_samples)
    throw new Error(`The recording has ${samples.length} samples; the encoder needs ${facts.fewest_samples} at least.`);
  const started = performance.now();
  const whole = facts.normalize ? normalized(samples) : samples;
  const size = facts.config.hidden_size;
  const layers = facts.layers.length;
  const parts = [];
  for (const { start, end, first, last } of pieces(samples.length, facts)) {
    const waveform = new ort.Tensor("float32", whole.slice(start, end), [1, end - start]);
    const { states } = await encoder.session.run({ waveform });
    const frames = states.dims[1];
    const kept = Array.from({ length: layers }, (_, layer) =>
      states.data.slice((layer * frames + first) * size, (layer * frames + last) * size),
    );
    states.dispose();
    parts.push(kept);
    self.postMessage({ progress: end / samples.length });
  }
  const n = parts.reduce((sum, kept) => sum + kept[0].length / size, 0);
  const states = new Float32Array(layers * n * size);
  let at = 0;
  for (let layer = 0; layer < layers; layer++)
    for (const kept of parts) {
      states.set(kept[layer], at);
      at += kept[layer].length;
    }
  const means = facts.layers.map((_, layer) => meanOver(states, layer * n * size, n, size));
  const seconds = (performance.now() - started) / 1000;
  return { states, means, frames: n, size, seconds, risk: risk && (await riskOf(means)) };
}

/** Zero mean and unit variance over the whole recording, never by piece. */
function normalized(samples) {
  let sum = 0;
  for (const value of samples) sum += value;
  const mean = sum / samples.length;
  let square = 0;
  for (const value of samples) square += (value - mean) ** 2;
  const scale = 1 / Math.sqrt(square / samples.length + 1e-7);
  return samples.map((value) => (value - mean) * scale);
}

/** Samples of each piece and frames of it that are kept: the rule of vocalbio.encoders.inference.cut. */
function* pieces(n, facts) {
  const frameCount = (samples) =>
    facts.convolutions.reduce((count, [width, stride]) => Math.floor((count - width) / stride) + 1, samples);
  const hop = facts.frame_hop;
  const chunk = Math.round(facts.chunk_s * facts.sampling_rate_hz);
  let done = 0;
  let start = 0;
  while (start + chunk < n) {
    const last = frameCount(chunk) - CONTEXT_FRAMES;
    yield { start, end: start + chunk, first: done - start / hop, last };
    done = start / hop + last;
    start = (done - CONTEXT_FRAMES) * hop;
  }
  start = Math.min(start, Math.max(0, Math.ceil((n - chunk) / hop) * hop));
  yield { start, end: n, first: done - start / hop, last: frameCount(n - start) };
}

function meanOver(states, from, n, size) {
  const sums = new Float64Array(size);
  for (let at = from, frame = 0; frame < n; frame++) for (let i = 0; i < size; i++) sums[i] += states[at++];
  return Float32Array.from(sums, (sum) => sum / n);
}

async function riskOf(means) {
  const { layers } = encoder.facts;
  const row = Float32Array.from(risk.places, ([layer, place]) => means[layers.indexOf(layer)][place]);
  const found = await risk.session.run({ features: new ort.Tensor("float32", row, [1, row.length]) });
  return Array.from(found.probabilities.data);
}
