/**
 * One stack, innermost call first: the application's own calls in full, runs of everybody else's folded away.
 */
import { make } from "./dom.js";
import { counted } from "./words.js";

/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {{folded: boolean, frames: {frame: Frame, index: number}[]}} Run */

/**
 * What tells one call from another.
 *
 * @param {Frame} frame
 * @returns {string}
 */
export const identity = (frame) => `${frame.file}:${frame.line}:${frame.function}`;

/**
 * A stack as Python prints it, for the clipboard: the innermost call last.
 *
 * @param {Frame[]} frames
 * @returns {string}
 */
export function asTraceback(frames) {
  const lines = [...frames].reverse().map((frame) => {
    const place = `  File "${frame.file}", line ${frame.line}, in ${frame.function}`;
    return frame.source ? `${place}\n    ${frame.source}` : place;
  });
  return `${lines.join("\n")}\n`;
}

/**
 * A list of calls that is drawn again only when the stack differs, and then shows which calls are new.
 */
export class FrameList {
  constructor() {
    this.node = make("ol", "frames");
    /** @type {Frame[]} */
    this.frames = [];
    this.drawn = "";
  }

  /**
   * @param {Frame[]} frames
   * @param {number} telling index of the call that tells most
   * @param {boolean} cut whether more calls lie outside
   */
  show(frames, telling, cut) {
    const now = `${frames.map(identity).join("\n")}|${telling}`;
    if (now === this.drawn) {
      return;
    }
    const fresh = this.drawn === "" ? 0 : freshCalls(this.frames, frames);
    const open = new Set([...this.node.querySelectorAll("details[open] > summary")].map((each) => each.textContent));
    this.node.replaceChildren(...runs(frames, telling).map((run) => drawRun(run, telling, fresh, open)));
    if (cut) {
      this.node.append(make("li", "cut", "more calls lie outside"));
    }
    this.drawn = now;
    this.frames = frames;
  }
}

/**
 * How many of the innermost calls were not there before.
 *
 * @param {Frame[]} before
 * @param {Frame[]} now
 * @returns {number}
 */
function freshCalls(before, now) {
  let same = 0;
  while (
    same < Math.min(before.length, now.length) &&
    identity(before[before.length - 1 - same]) === identity(now[now.length - 1 - same])
  ) {
    same += 1;
  }
  return now.length - same;
}

/**
 * Neighbours that are folded, or not, together. The telling call is never folded.
 *
 * @param {Frame[]} frames
 * @param {number} telling
 * @returns {Run[]}
 */
function runs(frames, telling) {
  /** @type {Run[]} */
  const found = [];
  frames.forEach((frame, index) => {
    const folded = frame.folded && index !== telling;
    const last = found[found.length - 1];
    if (last !== undefined && last.folded === folded) {
      last.frames.push({ frame, index });
    } else {
      found.push({ folded, frames: [{ frame, index }] });
    }
  });
  return found;
}

/**
 * @param {Run} run
 * @param {number} telling
 * @param {number} fresh
 * @param {Set<string|null>} open folds that were open before
 * @returns {DocumentFragment|HTMLElement}
 */
function drawRun(run, telling, fresh, open) {
  const items = run.frames.map(({ frame, index }) => drawFrame(frame, index === telling, index < fresh));
  if (!run.folded) {
    const fragment = document.createDocumentFragment();
    fragment.append(...items);
    return fragment;
  }
  const packages = [...new Set(run.frames.map(({ frame }) => frame.shown.split(/[/\\:]/)[0]))];
  const named = packages.slice(0, 3).join(", ") + (packages.length > 3 ? ", …" : "");
  const summary = make("summary", "", `${counted(items.length, "call")} in ${named}`);
  const fold = make("details", "", summary, make("ol", "frames", ...items));
  fold.open = open.has(summary.textContent);
  return make("li", "fold", fold);
}

/**
 * @param {Frame} frame
 * @param {boolean} telling
 * @param {boolean} fresh
 * @returns {HTMLElement}
 */
function drawFrame(frame, telling, fresh) {
  const place = make("span", "place", `${frame.shown}:${frame.line}`);
  place.title = frame.file;
  const item = make("li", `frame ${frame.kind}`, place, " ", make("span", "function", frame.function));
  item.classList.toggle("telling", telling);
  item.classList.toggle("fresh", fresh);
  if (frame.source) {
    item.append(make("code", "source", frame.source));
  }
  return item;
}
