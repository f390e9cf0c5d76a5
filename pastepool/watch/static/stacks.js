/**
 * The usual answer to "why is everything stuck": who stands at the same place.
 */
import { asTraceback, FrameList } from "./frames.js";
import { copyButton } from "./clipboard.js";
import { make, reveal, say, takeOver } from "./dom.js";
import { groupsOf } from "./groups.js";
import { Keyed } from "./keyed.js";
import { STATUSES, STUCK } from "./status.js";
import { counted, duration, labelOf } from "./words.js";

/** @typedef {import("./types.js").Worker} Worker */
const SHOWN = 40; // places; the rest is a number

/** @typedef {import("./groups.js").Group} Group */

/**
 * @param {(worker: number) => void} onWorker called to show the row of a worker
 * @returns {import("./types.js").View}
 */
export function stacks(onWorker) {
  const body = takeOver("stacks");
  const note = make("p", "soft");
  const groups = make("div", "groups");
  const list = new Keyed(groups, ({ key }) => key, () => group(onWorker));
  body.append(note, groups);
  return {
    show(state) {
      const found = groupsOf(state);
      list.show(found.slice(0, SHOWN));
      const none = found.length === 0 ? "No worker is in a call." : "";
      const rest = found.length > SHOWN ? `Shown are the ${SHOWN} most crowded of ${found.length} places.` : "";
      say(note, [state.stacks_note, none || rest].filter(Boolean).join(" "));
      reveal(note, note.textContent !== "");
    },
  };
}

/** @param {(worker: number) => void} onWorker */
function group(onWorker) {
  const count = make("span", "count");
  const place = make("span", "place");
  const who = make("span", "who");
  const links = make("p", "links");
  const frames = new FrameList();
  const copy = copyButton(() => asTraceback(frames.frames));
  const summary = make("summary", "", count, " ", place, " ", who);
  const unfold = make("details", "stack", summary, make("div", "inner", links, copy, frames.node));
  const buttons = new Keyed(links, (worker) => worker.worker, () => link(onWorker));
  /** @type {Group|null} */
  let last = null;
  const fill = () => {
    if (unfold.open && last !== null) {
      frames.show(last.stack?.frames ?? [], last.stack?.telling ?? 0, last.stack?.cut ?? false);
      buttons.show(last.here);
    }
  };
  unfold.addEventListener("toggle", fill);
  return {
    node: unfold,
    /** @param {Group} thing */
    show(thing) {
      const { here } = thing;
      say(count, `${counted(here.length, "thread")} ${here.length === 1 ? "is" : "are"} here`);
      say(place, thing.place);
      say(who, [thing.wait, statusesOf(here)].filter(Boolean).join(", "));
      unfold.classList.toggle("bad", here.some((worker) => STUCK.has(worker.status)));
      last = thing;
      fill();
    },
  };
}

/**
 * @param {Worker[]} here
 * @returns {string} `2 hung, 1 busy, the longest for 42 s`
 */
function statusesOf(here) {
  const parts = STATUSES.map((status) => [status, here.filter((worker) => worker.status === status).length]);
  const said = parts.filter(([, number]) => Number(number) > 0).map(([status, number]) => `${number} ${status}`);
  const longest = Math.max(0, ...here.map((worker) => worker.ran_for ?? 0));
  const lasting = `${here.length > 1 ? "the longest " : ""}for ${duration(longest)}`;
  return [...said, ...(here.length > 0 ? [lasting] : [])].join(", ");
}

/** @param {(worker: number) => void} onWorker */
function link(onWorker) {
  const anchor = make("a");
  let number = 0;
  anchor.addEventListener("click", (event) => {
    event.preventDefault();
    onWorker(number);
  });
  return {
    node: anchor,
    /** @param {Worker} worker */
    show(worker) {
      number = worker.worker;
      anchor.href = `#worker-${worker.worker}`;
      say(anchor, `worker ${labelOf(worker)}${worker.title ? `: ${worker.title}` : ""}`);
    },
  };
}
