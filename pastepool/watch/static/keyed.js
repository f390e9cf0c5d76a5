/**
 * Keeps a list of elements in step with a list of things: each thing has a key, keeps its element for life, and is only
 * told what changed. Five hundred rows once a second cost what differs between two looks, not five hundred rows.
 */

/**
 * @template T
 * @typedef {object} Item
 * @property {HTMLElement|SVGElement} node
 * @property {(thing: T) => void} show
 */

/**
 * @template T
 */
export class Keyed {
  /**
   * @param {Element} parent whose last children these are; others may stand before them
   * @param {(thing: T) => string|number} keyOf
   * @param {(thing: T) => Item<T>} create makes the element for a new thing; `show` is called next
   */
  constructor(parent, keyOf, create) {
    this.parent = parent;
    this.keyOf = keyOf;
    this.create = create;
    /** @type {Map<string|number, Item<T>>} */
    this.items = new Map();
  }

  /**
   * Bring the elements up to date: new ones made, gone ones removed, the others moved only where the order changed.
   *
   * @param {T[]} things in the order they are to be seen; no two with the same key
   */
  show(things) {
    const focused = document.activeElement;
    this.#forget(things);
    const nodes = things.map((thing) => this.#item(thing).node);
    this.#arrange(nodes);
    if (focused instanceof HTMLElement && focused !== document.activeElement && this.parent.contains(focused)) {
      focused.focus({ preventScroll: true });
    }
  }

  /**
   * Put the elements in order, moving as few as can be: those that form the longest run in order already stay.
   *
   * @param {Element[]} nodes
   */
  #arrange(nodes) {
    const places = new Map([...this.parent.children].map((node, at) => [node, at]));
    const staying = longestRising(nodes.map((node) => places.get(node) ?? -1));
    /** @type {Element|null} */
    let next = null;
    for (let at = nodes.length - 1; at >= 0; at -= 1) {
      if (!staying.has(at)) {
        this.parent.insertBefore(nodes[at], next);
      }
      next = nodes[at];
    }
  }

  /** @param {T[]} things */
  #forget(things) {
    const wanted = new Set(things.map(this.keyOf));
    for (const [key, item] of this.items) {
      if (!wanted.has(key)) {
        item.node.remove();
        this.items.delete(key);
      }
    }
  }

  /**
   * @param {T} thing
   * @returns {Item<T>}
   */
  #item(thing) {
    const key = this.keyOf(thing);
    let item = this.items.get(key);
    if (item === undefined) {
      item = this.create(thing);
      this.items.set(key, item);
    }
    item.show(thing);
    return item;
  }
}

/**
 * Which members of a list form its longest rising part.
 *
 * @param {number[]} values no two the same, but for negative ones, which are left out
 * @returns {Set<number>} their places in the list
 */
export function longestRising(values) {
  /** @type {number[]} place of the least value that ends a part of each length */
  const ends = [];
  /** @type {number[]} the place before each in its part */
  const before = [];
  values.forEach((value, at) => {
    if (value < 0) {
      return;
    }
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[ends[middle]] < value) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    before[at] = low > 0 ? ends[low - 1] : -1;
    ends[low] = at;
  });
  const found = new Set();
  for (let at = ends.length > 0 ? ends[ends.length - 1] : -1; at >= 0; at = before[at]) {
    found.add(at);
  }
  return found;
}
