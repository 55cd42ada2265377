// Making elements. Text becomes text, never markup: nothing that comes from a person or the server is parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element: h("p", {class: "soft"}, "words", anotherElement). */
export const h = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

/** Put these, and only these, into an element; nothing stands for what is absent. */
export const fill = (element, ...children) => filled(Object.assign(element, { textContent: "" }), {}, children);

/** The way back to a list. */
export const back = (address, words) =>
  h("a", { class: "back", href: address }, h("span", { "aria-hidden": "true" }, "←"), words);

export const byId = (id) => document.getElementById(id);

/** Place a piece of a bar, in per cent; through the object model, which a content-security policy allows. */
export function placed(element, styles) {
  for (const [name, value] of Object.entries(styles)) element.style.setProperty(name, value);
  return element;
}

/** A drawn sign before a line of text. */
export const doubtSign = () =>
  s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: "M12 8v5M12 16.5v.01M12 3l9.5 17h-19z" }));
