/**
 * What a status looks like, and what it is called: always a mark, a word and a colour together.
 */
import { make, put, say } from "./dom.js";

/** @typedef {import("./types.js").Status} Status */

/** @type {Status[]} in the order of a worker's life; what is always shown and what only when there is one */
export const STATUSES = ["idle", "busy", "sending", "hung", "dying", "zombie", "starting", "retiring"];
export const ALWAYS = new Set(["idle", "busy", "hung", "dying", "zombie"]);

/** @type {Status[]} from the worst on: the order in which a bar is filled */
export const WORST_FIRST = ["zombie", "dying", "hung", "busy", "sending", "starting", "retiring", "idle"];

/** @type {Set<Status>} what somebody has to look after */
export const STUCK = new Set(["hung", "dying", "zombie"]);

/** @type {Record<Status, string>} */
export const MEANING = {
  starting: "spawned, not ready yet",
  idle: "waiting for a request",
  busy: "running a request",
  sending: "waiting until its client has read more",
  hung: "running one for too long",
  retiring: "leaving, no longer needed",
  dying: "killed, has not left yet",
  zombie: "killed long ago, still there",
};

/**
 * The mark and word of a status.
 *
 * @returns {{node: HTMLElement, show: (status: string) => void}}
 */
export function pill() {
  const node = make("span", "status");
  return {
    node,
    show(status) {
      put(node, "class", `status status-${status}`);
      say(node, status);
    },
  };
}
