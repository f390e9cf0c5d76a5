/**
 * Who stands at the same place. Two threads do when their calls are the same from the innermost to where the server
 * called the application: on which way the server came to that says nothing about why they hang.
 */
import { identity } from "./frames.js";

/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Stack} Stack */
/** @typedef {import("./types.js").Worker} Worker */
/** @typedef {{place: string, stack: Stack, here: Worker[]}} Group */

/**
 * @param {Frame[]} frames innermost first
 * @returns {string} what tells this place from another
 */
export function placeOf(frames) {
  const first = frames.findIndex((frame) => frame.kind !== "server");
  const end = first < 0 ? -1 : frames.findIndex((frame, at) => at > first && frame.kind === "server");
  return (end < 0 ? frames : frames.slice(0, end)).map(identity).join("\n");
}

/**
 * @param {State} state
 * @returns {Group[]} the most crowded first
 */
export function groupsOf({ stacks, workers }) {
  const byNumber = new Map(workers.map((worker) => [worker.worker, worker]));
  /** @type {Map<string, Group>} */
  const groups = new Map();
  for (const stack of stacks) {
    const place = placeOf(stack.frames);
    const here = /** @type {Worker[]} */ (stack.workers.map((number) => byNumber.get(number)).filter(Boolean));
    const group = groups.get(place);
    if (group === undefined) {
      groups.set(place, { place, stack, here });
    } else {
      group.here.push(...here);
    }
  }
  return [...groups.values()].sort((one, other) => other.here.length - one.here.length);
}
