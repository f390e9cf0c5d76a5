/**
 * The only way this page makes and changes elements: text goes in as text, and only when it differs.
 */

const SVG = "http://www.w3.org/2000/svg";

/** @type {WeakMap<Node, string>} what was last said by each element; cheaper than asking the document */
const said = new WeakMap();

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [className]
 * @param {...(Node|string)} children strings become text, never markup
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) {
    element.className = className;
  }
  element.append(...children);
  return element;
}

/**
 * Make an element of a drawing.
 *
 * @param {string} tag
 * @param {Record<string, string|number>} [attributes]
 * @param {...Node} children
 * @returns {SVGElement}
 */
export function draw(tag, attributes = {}, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Set the text of an element that holds nothing else.
 *
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (said.get(element) !== text) {
    said.set(element, text);
    element.textContent = text;
  }
}

/**
 * Set an attribute, when it differs.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string|null} value null takes it away
 */
export function put(element, name, value) {
  if (element.getAttribute(name) === value) {
    return;
  }
  if (value === null) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value);
  }
}

/**
 * Show or hide an element.
 *
 * @param {HTMLElement} element
 * @param {boolean} visible
 */
export function reveal(element, visible) {
  if (element.hidden === visible) {
    element.hidden = !visible;
  }
}

/**
 * The part of a section that the script may fill; the server's own rendering goes.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function takeOver(id) {
  const body = /** @type {HTMLElement} */ (document.querySelector(`#${id} > .body`));
  body.replaceChildren();
  return body;
}

/**
 * A heading cell or row of a table.
 *
 * @param {string} text
 * @param {"col"|"row"} scope
 * @param {string} [className]
 * @returns {HTMLTableCellElement}
 */
export function heading(text, scope, className = "") {
  const cell = make("th", className, text);
  cell.scope = scope;
  return cell;
}

/**
 * Say that a table is one, where its rows are laid out as something else: some readers would take it for text.
 *
 * @param {HTMLTableElement} table
 */
export function keepTable(table) {
  put(table, "role", "table");
  const roles = { "thead, tbody": "rowgroup", tr: "row", td: "cell", "th[scope=col]": "columnheader" };
  for (const [selector, role] of Object.entries({ ...roles, "th[scope=row]": "rowheader" })) {
    table.querySelectorAll(selector).forEach((each) => put(each, "role", role));
  }
}

/**
 * A table with its caption and its column headings.
 *
 * @param {string} caption
 * @param {[string, string][]} columns heading and class of each
 * @param {string} className
 * @returns {HTMLTableElement}
 */
export function tabulate(caption, columns, className) {
  const head = make("thead", "", make("tr", "", ...columns.map(([text, kind]) => heading(text, "col", kind))));
  return make("table", className, make("caption", "unseen", caption), head);
}
