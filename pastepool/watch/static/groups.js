/**
 * Who stands at the same place: at the same line of the application, waiting for the same. The server groups workers in
 * the same way for the page without this script, for the text and for the JSON.
 */

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Stack} Stack */
/** @typedef {import("./types.js").Worker} Worker */
/** @typedef {{key: string, place: string, wait: string, stack: Stack|null, here: Worker[]}} Group */

/**
 * @param {State} state
 * @returns {Group[]} the most crowded first
 */
export function groupsOf({ stacks, workers }) {
  const byId = new Map(stacks.map((stack) => [stack.id, stack]));
  /** @type {Map<string, Group>} */
  const groups = new Map();
  for (const worker of workers.filter(({ place }) => place !== "")) {
    const wait = worker.wait ?? "";
    const key = `${worker.place}\n${wait}`;
    const group = groups.get(key) ?? { key, place: worker.place, wait, stack: null, here: [] };
    group.here.push(worker);
    groups.set(key, group);
  }
  for (const group of groups.values()) {
    group.stack = byId.get(mostCommon(group.here)) ?? null;
  }
  return [...groups.values()].sort((one, other) => other.here.length - one.here.length);
}

/**
 * @param {Worker[]} here
 * @returns {number} the id of the stack that most of them have; -1 without one
 */
function mostCommon(here) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const { stack } of here) {
    if (stack !== null) {
      counts.set(stack, (counts.get(stack) ?? 0) + 1);
    }
  }
  const [found] = [...counts].reduce((one, other) => (other[1] > one[1] ? other : one), [-1, 0]);
  return found;
}
