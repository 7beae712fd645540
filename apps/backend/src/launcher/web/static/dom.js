/** A few lines around the DOM. Text only ever becomes a text node, so markup in data does nothing. */

const SVG = "http://www.w3.org/2000/svg";

/** Returns an element; properties are attributes, children are nodes or texts. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else attribute(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets an attribute if it differs; null and false remove it, true leaves it empty. */
export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Sets the text of a node if it differs, so that what stays as it was costs no layout and keeps its selection. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const known = new WeakMap();

/**
 * Makes the children of `parent` match `items`, in order, keeping the nodes of those that stay.
 * `make(item)` returns a node with a method `update(item)`.
 */
export function keyed(parent, items, key, make) {
  const before = known.get(parent) ?? new Map();
  const after = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    const node = before.get(name) ?? make(item);
    before.delete(name);
    after.set(name, node);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
    node.update(item);
  }
  for (const node of before.values()) node.remove();
  known.set(parent, after);
  return after;
}

/** Returns the shape of a phase; always beside its name in words. */
export function glyph(phase) {
  const use = svg("use");
  const picture = svg("svg", { class: "glyph", "aria-hidden": "true", width: 16, height: 16 }, use);
  picture.show = (name) => {
    attribute(picture, "data-phase", name);
    attribute(use, "href", `#glyph-${name}`);
  };
  picture.show(phase);
  return picture;
}
