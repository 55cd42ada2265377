// The service behind this page. Whatever goes wrong comes back as an Error whose message a person can act on.

export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function refusalOf(response) {
  let told = null;
  try {
    told = await response.json();
  } catch {
    // no JSON: the status has to do
  }
  const words = told?.error ?? (typeof told?.detail === "string" ? told.detail : null);
  return new Refusal(words ?? `The service answered with status ${response.status}.`, response.status);
}

async function asked(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The service cannot be reached. Is it still running? It was started with “vocalbio serve”.", 0);
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

const query = (values) => {
  const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
};
const named = (name) => encodeURIComponent(name);

export const health = async () => (await asked("/healthz")).json();

const ROADS = { stress: "/analyze-stress", depression: "/analyze-depression", apnea: "/analyze-apnea" };

export async function analyse(condition, blob, name, { person, save, keepAudio, signal }) {
  const form = new FormData();
  form.append("file", blob, name);
  if (person) form.append("person", person);
  if (!save) form.append("save", "false");
  if (keepAudio) form.append("keep_audio", "true");
  form.append("explain", "true");
  return (await asked(ROADS[condition], { method: "POST", body: form, signal })).json();
}

export const recordings = async (filter = {}) => (await asked(`/recordings${query(filter)}`)).json();
export const recording = async (id) => (await asked(`/recordings/${named(id)}`)).json();
export const people = async () => (await asked("/people")).json();
export const track = async (name, condition) =>
  (await asked(`/people/${named(name)}/track${query({ condition })}`)).json();
export const audit = async () => (await asked("/audit")).json();

export const deleteRecording = (id) => asked(`/recordings/${named(id)}`, { method: "DELETE" });
export const deletePerson = (name) => asked(`/people/${named(name)}`, { method: "DELETE" });
export const deleteEverything = () => asked("/everything?confirm=delete", { method: "DELETE" });

export const exportAddress = (format) => `/export?format=${named(format)}`;

/** Where the live monitor listens: the same host, the same kind of connection. */
export const monitorAddress = () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/monitor`;
