/** Who is at the same place: the groups of a state, with their workers and stacks. */

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Stack} Stack */
/** @typedef {import("./types.js").Worker} Worker */
/** @typedef {{key: string, place: string, wait: string, stack: Stack|null, here: Worker[]}} Group */

/**
 * @param {State} state
 * @returns {Group[]} the most crowded first
 */
export function groupsOf({ groups, stacks, workers }) {
  const stackOf = new Map(stacks.map((stack) => [stack.id, stack]));
  return groups.map(({ place, wait, stack, workers: numbers }) => ({
    key: `${place}\n${wait}`,
    place,
    wait,
    stack: stackOf.get(stack) ?? null,
    here: workers.filter(({ worker }) => numbers.includes(worker)),
  }));
}
