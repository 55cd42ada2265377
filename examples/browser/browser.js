// The page: a recording to 16 kHz mono, the worker's states as picture, numbers and JSON.

const RATE = 16000;
const MOST_S = 600; // of a recording; the states of ten minutes of Whisper base take 60 MB
const BANDS = 64; // rows of the picture
const LOW = [0, 114, 178];
const HIGH = [213, 94, 0];

const at = (id) => document.getElementById(id);
const worker = new Worker("encoder.js", { type: "module" });
let facts = null; // of the encoder
let riskFacts = null;
let shown = null; // the last result
let recorder = null;

/** Ask the worker, one thing after the other. */
let turn = Promise.resolve();
function ask(question, transfer = []) {
  const answer = turn.then(
    () =>
      new Promise((resolve, reject) => {
        worker.onerror = () => reject(new Error("The runtime is not here: run npm install in the page's folder."));
        worker.onmessage = ({ data }) => {
          if (data.progress) say(`Encoding … ${Math.round(100 * data.progress)} %`);
          else if (data.error) reject(new Error(data.error));
          else resolve(data.answer);
        };
        worker.postMessage(question, transfer);
      }),
  );
  turn = answer.catch(() => {});
  return answer;
}

function say(text) {
  at("status").textContent = text;
}

async function guarded(action) {
  at("error").hidden = true;
  try {
    await action();
  } catch (error) {
    say("");
    at("error").textContent = error.message;
    at("error").hidden = false;
  }
}

// Models

async function openEncoder(bytes, name) {
  const megabytes = bytes.byteLength / 1e6;
  at("model").textContent = `Reading ${name} …`;
  let threads;
  ({ facts, threads } = await ask({ ask: "encoder", bytes }, [bytes]));
  riskFacts = null;
  const { model_type, hidden_size } = facts.config;
  at("model").textContent =
    `${name}: ${model_type}, state ${facts.layers.join(", ")}, ${hidden_size} dimensions, ` +
    `${facts.quantize ?? "float32"}, ${megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB, ` +
    `${threads} thread${threads > 1 ? "s" : ""}.`;
  at("risk-label").hidden = false;
  for (const id of ["sound-file", "record"]) at(id).disabled = false;
}

async function openRisk(bytes, name) {
  ({ facts: riskFacts } = await ask({ ask: "risk", bytes }, [bytes]));
  at("model").textContent += ` Risk model ${name}: ${riskFacts.condition}.`;
}

async function beside(name) {
  const found = await fetch(name).catch(() => null);
  return found?.ok ? found.arrayBuffer() : null;
}

async function start() {
  const bytes = await beside("encoder.onnx");
  if (!bytes) {
    at("model").textContent = "There is no encoder.onnx beside this page. Open one that vocalbio exported.";
    return;
  }
  await openEncoder(bytes, "encoder.onnx");
  const risk = await beside("risk.onnx");
  if (risk) await openRisk(risk, "risk.onnx");
}

// Recordings

/** Samples at 16 kHz, mono; the browser decodes and resamples. */
async function decoded(bytes) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  } catch {
    throw new Error("The browser cannot decode this file. Most read wav, mp3, m4a, ogg, webm and flac.");
  }
  if (sound.duration > MOST_S) throw new Error(`The recording is longer than ${MOST_S / 60} minutes.`);
  const mono = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const values = sound.getChannelData(channel);
    for (let i = 0; i < mono.length; i++) mono[i] += values[i] / sound.numberOfChannels;
  }
  return mono.map((value) => Math.max(-1, Math.min(32767 / 32768, value)));
}

async function analyse(bytes, name) {
  say("Decoding …");
  const samples = await decoded(bytes);
  say("Encoding …");
  const result = await ask({ ask: "encode", samples });
  shown = { name, samples, ...result };
  say("");
  show();
}

async function toggleRecording() {
  if (recorder) return recorder.stop();
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain }).catch(() => {
    throw new Error("There is no microphone, or the browser was not allowed to use it.");
  });
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onstop = () => {
    stream.getTracks().forEach((track) => track.stop());
    recorder = null;
    at("record").textContent = "Record";
    at("record").classList.remove("recording");
    guarded(async () => analyse(await new Blob(parts).arrayBuffer(), "microphone"));
  };
  recorder.start();
  at("record").textContent = "Stop";
  at("record").classList.add("recording");
  say("Recording …");
}

// Results

function show() {
  const { samples, seconds, frames, size, means } = shown;
  const duration = samples.length / RATE;
  const rows = [
    ["Recording", `${duration.toFixed(2)} s`],
    ["Frames", `${frames}`],
    ["Computed in", `${seconds.toFixed(2)} s`],
    ["Of real time", `${(seconds / duration).toFixed(2)}`],
  ];
  at("facts").replaceChildren(
    ...rows.map(([name, value]) => {
      const row = document.createElement("div");
      row.append(text("dt", name), text("dd", value));
      return row;
    }),
  );
  showRisk();
  const layer = facts.layers.length - 1;
  at("numbers-words").textContent = `State ${facts.layers[layer]}, ${size} dimensions, ${shown.name}.`;
  at("numbers").textContent = inColumns(means[layer]);
  at("result").hidden = false;
  draw();
}

function text(tag, content) {
  const element = document.createElement(tag);
  element.textContent = content;
  return element;
}

function showRisk() {
  at("answer").hidden = !shown.risk;
  if (!shown.risk) return;
  const shares = shown.risk.map((value, i) => `${riskFacts.classes[i]}: ${(100 * value).toFixed(0)} %`);
  const head = document.createElement("p");
  head.append(text("strong", shares.join(" · ")));
  at("answer").replaceChildren(
    text("p", `Risk model for ${riskFacts.condition}`),
    head,
    text("p", "A number without interval and without the checks that RiskModel makes in Python."),
  );
  at("answer").lastChild.className = "fact";
}

function inColumns(values) {
  const perLine = innerWidth < 560 ? 4 : 8;
  let lines = "";
  for (let i = 0; i < values.length; i += perLine) {
    const cells = Array.from(values.subarray(i, i + perLine), (value) => value.toFixed(4).padStart(9));
    lines += `${String(i).padStart(4)} ${cells.join("")}\n`;
  }
  return lines;
}

/** Rows of the picture: each dimension in its own spreads, sorted by how it goes with loudness, BANDS averages. */
function picture() {
  const { states, samples, frames, size } = shown;
  const from = (facts.layers.length - 1) * frames * size;
  const loudness = Float64Array.from({ length: frames }, (_, frame) => {
    const start = frame * facts.frame_hop;
    const own = samples.subarray(start, start + facts.frame_hop);
    return Math.log10(1e-4 + Math.sqrt(own.reduce((sum, value) => sum + value * value, 0) / Math.max(1, own.length)));
  });
  // by quartiles, since a few frames of Whisper in silence are far from all others
  const standard = (values) => {
    const sorted = values.slice().sort();
    const quartile = (share) => sorted[Math.floor(share * (frames - 1))];
    const spread = (quartile(0.75) - quartile(0.25)) / 1.35 || 1;
    return values.map((value) => (value - quartile(0.5)) / spread);
  };
  const loud = standard(loudness);
  const rows = Array.from({ length: size }, (_, i) => {
    const values = standard(Float64Array.from({ length: frames }, (_, frame) => states[from + frame * size + i]));
    const along = values.reduce((sum, value, frame) => sum + Math.max(-3, Math.min(3, value)) * loud[frame], 0);
    return { values, along };
  }).sort((a, b) => b.along - a.along);
  const bands = Math.min(BANDS, size);
  return Array.from({ length: bands }, (_, band) => {
    const own = rows.slice(Math.floor((band * size) / bands), Math.floor(((band + 1) * size) / bands));
    return loud.map((_, frame) => own.reduce((sum, { values }) => sum + values[frame], 0) / own.length);
  });
}

function draw() {
  const canvas = at("picture");
  const width = canvas.clientWidth;
  const [wave, gap, strip, axis] = [56, 6, 190, 24];
  const height = wave + gap + strip + axis;
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(devicePixelRatio, devicePixelRatio);
  const { samples, frames } = shown;
  const duration = samples.length / RATE;

  pen.fillStyle = "#55616e";
  const loudest = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  for (let x = 0; x < width; x++) {
    const [from, to] = [x, x + 1].map((edge) => (edge / width) * samples.length);
    const own = samples.subarray(Math.floor(from), Math.ceil(to));
    const reach = (own.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / loudest) * (wave / 2);
    pen.fillRect(x, wave / 2 - reach, 1, Math.max(1, 2 * reach));
  }

  const rows = picture();
  const image = new ImageData(frames, rows.length);
  rows.forEach((values, row) =>
    values.forEach((value, frame) => {
      const far = Math.min(1, Math.abs(value) / 1.6);
      const colour = value < 0 ? LOW : HIGH;
      const place = 4 * (row * frames + frame);
      for (let i = 0; i < 3; i++) image.data[place + i] = 255 + (colour[i] - 255) * far;
      image.data[place + 3] = 255;
    }),
  );
  const small = new OffscreenCanvas(frames, rows.length);
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  const reached = ((frames * facts.frame_hop) / samples.length) * width; // the last frames may end before the recording
  pen.drawImage(small, 0, wave + gap, Math.min(width, reached), strip);

  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "top";
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120].find((step) => (width * step) / duration > 56) ?? 300;
  for (let second = 0; second <= duration; second += steps) {
    const x = (second / duration) * width;
    pen.fillRect(Math.min(x, width - 1), wave + gap + strip, 1, 5);
    const words = `${Number(second.toFixed(1))}${second ? "" : " s"}`;
    pen.textAlign = x > width - 20 ? "right" : second ? "center" : "left";
    pen.fillText(words, x, wave + gap + strip + 7);
  }
  canvas.setAttribute("aria-label", `Waveform and states of ${shown.name} over ${duration.toFixed(1)} seconds`);
  at("caption").textContent =
    `Above the recording, below its states: ${shown.size} dimensions as ${rows.length} rows, those that rise with ` +
    "loudness at the top, those that fall with it at the bottom. Orange above a dimension's own median, blue below.";
}

function download() {
  const { name, seconds, frames, means, risk } = shown;
  const content = {
    recording: name,
    seconds: shown.samples.length / RATE,
    frames,
    computed_in_s: seconds,
    encoder: { ...facts.config, weights: facts.weights, quantize: facts.quantize },
    means: Object.fromEntries(facts.layers.map((layer, i) => [layer, Array.from(means[i])])),
    ...(risk && { risk: Object.fromEntries(risk.map((value, i) => [riskFacts.classes[i], value])) }),
  };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.download = `${name.replace(/\.[^.]*$/, "")}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

// Whoever opens

const opens = (id, action) =>
  at(id).addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (file) guarded(async () => action(await file.arrayBuffer(), file.name));
  });
opens("encoder-file", openEncoder);
opens("risk-file", openRisk);
opens("sound-file", analyse);
at("record").addEventListener("click", () => guarded(toggleRecording));
at("download").addEventListener("click", download);
let width = innerWidth;
addEventListener("resize", () => {
  if (shown && innerWidth !== width) show();
  width = innerWidth;
});
guarded(start);
