// A question before something that cannot be undone.

import { byId } from "./elements.js";

/** Ask; true for yes. With `typed`, yes can be pressed only once that word has been written. */
export function confirmed({ title, words, yes = "Delete", no = "Keep", typed = null }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = words;
  byId("confirm-yes").textContent = yes;
  byId("confirm-no").textContent = no;
  byId("confirm-typing").hidden = !typed;
  byId("confirm-yes").disabled = Boolean(typed);
  const word = byId("confirm-word");
  word.value = "";
  document.querySelector("label[for=confirm-word]").textContent = typed ? `Write “${typed}” to go on` : "";
  word.oninput = () => (byId("confirm-yes").disabled = word.value.trim().toLowerCase() !== typed);
  dialog.returnValue = "no";
  dialog.showModal();
  (typed ? word : byId("confirm-no")).focus();
  return new Promise((answered) =>
    dialog.addEventListener("close", () => answered(dialog.returnValue === "yes"), { once: true }),
  );
}
