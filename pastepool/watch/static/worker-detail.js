/**
 * What is behind a worker's row: the stack with its source lines, and the request. Made when the row is unfolded,
 * thrown away when it is folded.
 */
import { asTraceback, FrameList } from "./frames.js";
import { copyButton } from "./clipboard.js";
import { make, put, reveal, say } from "./dom.js";
import { duration } from "./words.js";

/** @typedef {import("./types.js").Worker} Worker */
/** @typedef {import("./types.js").Stack} Stack */

const UNMOVED_SAID = 2; // seconds; any call stands still for less

/**
 * Whether it is worth saying that a stack has not moved.
 *
 * @param {Worker} worker
 * @returns {boolean}
 */
export const standsStill = (worker) => worker.unmoved_for !== null && worker.unmoved_for >= UNMOVED_SAID;

export class Detail {
  /**
   * @param {number} columns
   * @param {number} worker
   */
  constructor(columns, worker) {
    this.sentence = make("p", "sentence");
    this.moved = make("span", "moved");
    this.frames = new FrameList();
    this.facts = make("dl", "facts");
    this.shown = "";
    this.title = make("h3", "", "Stack");
    this.bar = make("div", "bar", this.title, this.moved, copyButton(() => asTraceback(this.frames.frames)));
    this.left = make("div", "trace", this.bar, this.frames.node);
    const right = make("div", "about", make("h3", "", "Request"), this.facts);
    const inside = make("td", "", this.sentence, make("div", "halves", this.left, right));
    inside.colSpan = columns;
    put(inside, "role", "cell");
    put(inside, "aria-colspan", String(columns));
    this.node = make("tr", "detail", inside);
    put(this.node, "role", "row");
    this.node.id = `detail-${worker}`;
  }

  /**
   * @param {Worker} worker
   * @param {Stack|null} stack
   */
  show(worker, stack) {
    say(this.sentence, worker.sentence || `${worker.status} for ${duration(worker.for)}`);
    reveal(this.sentence, stack === null);
    reveal(this.left, stack !== null);
    if (stack !== null) {
      this.frames.show(stack.frames, stack.telling, stack.cut);
      const still = standsStill(worker);
      say(this.moved, still ? `has not moved for ${duration(worker.unmoved_for)}` : "moves");
      this.moved.classList.toggle("still", still);
    }
    this.#showFacts(worker);
  }

  /** @param {Worker} worker */
  #showFacts(worker) {
    const facts = factsOf(worker);
    const names = facts.map(([name]) => name).join("\n");
    if (names !== this.shown) {
      this.shown = names;
      this.facts.replaceChildren(...facts.map(([name]) => make("div", "", make("dt", "", name), make("dd"))));
    }
    [...this.facts.querySelectorAll("dd")].forEach((value, at) => say(value, facts[at][1]));
  }
}

/**
 * @param {Worker} worker
 * @returns {[string, string][]} word and text
 */
function factsOf(worker) {
  /** @type {[string, string][]} */
  const facts = [["thread", worker.name], ...worker.request];
  if (worker.native_id) {
    facts[0][1] += `, tid ${worker.native_id}`;
  }
  if (worker.ran_for !== null) {
    facts.push(["has run for", duration(worker.ran_for)]);
  }
  if (worker.phase) {
    facts.push(["phase", worker.phase]);
  }
  if (worker.kill_in !== null) {
    facts.push(["kill limit", worker.kill_in > 0 ? `in ${duration(worker.kill_in)}` : "reached"]);
  }
  return facts;
}
