/**
 * Tells those who do not see the page what has changed: a worker that hangs, dies or is a zombie, and the end of it.
 */
import { make, put, say } from "./dom.js";
import { STATUSES, STUCK } from "./status.js";
import { counted } from "./words.js";

const NAMED = 3; // beyond this many at once, a number says more

/** @returns {import("./types.js").View & {node: HTMLElement}} */
export function announcer() {
  const node = make("p", "unseen");
  put(node, "aria-live", "polite");
  /** @type {Map<number, import("./types.js").Status>|null} */
  let before = null;
  return {
    node,
    show(state) {
      const now = new Map(state.workers.map((worker) => [worker.worker, worker.status]));
      const sentence = before === null ? "" : changes(before, state.workers);
      const relieved = before !== null && stuckIn(before) > 0 && stuckIn(now) === 0;
      before = now;
      if (sentence !== "" || relieved) {
        say(node, sentence || "No worker hangs any more.");
      }
    },
  };
}

/**
 * @param {Map<number, import("./types.js").Status>} statuses
 * @returns {number}
 */
function stuckIn(statuses) {
  return [...statuses.values()].filter((status) => STUCK.has(status)).length;
}

/**
 * @param {Map<number, string>} before
 * @param {import("./types.js").Worker[]} workers
 * @returns {string}
 */
function changes(before, workers) {
  const parts = [];
  for (const status of STATUSES.filter((each) => STUCK.has(each))) {
    const fresh = workers.filter((worker) => worker.status === status && before.get(worker.worker) !== status);
    if (fresh.length > NAMED) {
      parts.push(`${counted(fresh.length, "worker")} are ${status}`);
    } else {
      parts.push(...fresh.map(({ worker, title }) => `worker ${worker} is ${status}${title ? `: ${title}` : ""}`));
    }
  }
  return parts.join("; ");
}
