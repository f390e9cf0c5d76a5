/**
 * Tells those who do not see the page what has changed: a worker that hangs, dies or has become a zombie, and the end of it.
 */
import { make, put, say } from "./dom.js";
import { STATUSES, STUCK } from "./status.js";
import { counted } from "./words.js";

const NAMED = 3; // beyond this many at once, a number says more

/** @returns {import("./types.js").View & {node: HTMLElement}} */
export function announcer() {
  const node = make("p", "unseen");
  put(node, "aria-live", "polite");
  /** @type {Map<number, string>|null} */
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
 * @param {Map<number, string>} statuses
 * @returns {number}
 */
function stuckIn(statuses) {
  return [...statuses.values()].filter((status) => STUCK.has(/** @type {import("./types.js").Status} */ (status))).length;
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
      parts.push(...fresh.map((worker) => `worker ${worker.worker} is ${status}${worker.title ? `: ${worker.title}` : ""}`));
    }
  }
  return parts.join("; ");
}
