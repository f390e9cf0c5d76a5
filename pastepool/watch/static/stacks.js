/**
 * The usual answer to "why is everything stuck": who stands at the same place.
 */
import { asTraceback, FrameList, signature } from "./frames.js";
import { copyButton } from "./clipboard.js";
import { make, reveal, say, takeOver } from "./dom.js";
import { Keyed } from "./keyed.js";
import { STATUSES, STUCK } from "./status.js";
import { counted, duration } from "./words.js";

/** @typedef {import("./types.js").Stack} Stack */
/** @typedef {import("./types.js").Worker} Worker */
const SHOWN = 40; // places; the rest is a number

/** @typedef {{stack: Stack, here: Worker[]}} Group */

/**
 * @param {(worker: number) => void} onWorker somebody wants to see this one's row
 * @returns {import("./types.js").View}
 */
export function stacks(onWorker) {
  const body = takeOver("stacks");
  const note = make("p", "soft");
  const groups = make("div", "groups");
  const list = new Keyed(groups, ({ stack }) => signature(stack.frames), () => group(onWorker));
  body.append(note, groups);
  return {
    show(state) {
      const workers = new Map(state.workers.map((worker) => [worker.worker, worker]));
      const found = grouped(state.stacks, workers);
      list.show(found.slice(0, SHOWN));
      const none = found.length === 0 ? "No worker is in a call." : "";
      const rest = found.length > SHOWN ? `Shown are the ${SHOWN} most crowded of ${found.length} places.` : "";
      say(note, [state.stacks_note, none || rest].filter(Boolean).join(" "));
      reveal(note, note.textContent !== "");
    },
  };
}

/**
 * @param {Stack[]} all
 * @param {Map<number, Worker>} workers
 * @returns {Group[]} one for each distinct stack
 */
function grouped(all, workers) {
  const seen = new Set();
  const found = [];
  for (const stack of all) {
    const identity = signature(stack.frames);
    if (!seen.has(identity)) {
      seen.add(identity);
      const here = stack.workers.map((worker) => workers.get(worker)).filter((worker) => worker !== undefined);
      found.push({ stack, here: /** @type {Worker[]} */ (here) });
    }
  }
  return found;
}

/** @param {(worker: number) => void} onWorker */
function group(onWorker) {
  const count = make("span", "count");
  const place = make("span", "place");
  const who = make("span", "who");
  const links = make("p", "links");
  const frames = new FrameList();
  const copy = copyButton(() => asTraceback(frames.frames));
  const unfold = make("details", "stack", make("summary", "", count, " ", place, " ", who), make("div", "inner", links, copy, frames.node));
  const buttons = new Keyed(links, (worker) => worker.worker, () => link(onWorker));
  /** @type {Group|null} */
  let last = null;
  const fill = () => {
    if (unfold.open && last !== null) {
      frames.show(last.stack.frames, last.stack.telling, last.stack.cut);
      buttons.show(last.here);
    }
  };
  unfold.addEventListener("toggle", fill);
  return {
    node: unfold,
    /** @param {Group} thing */
    show(thing) {
      const { stack, here } = thing;
      const telling = stack.frames[stack.telling];
      say(count, `${counted(stack.workers.length, "thread")} ${stack.workers.length === 1 ? "is" : "are"} here`);
      say(place, telling === undefined ? "" : `${telling.shown}:${telling.line} ${telling.function}`);
      say(who, summary(here));
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
function summary(here) {
  const parts = STATUSES.map((status) => [status, here.filter((worker) => worker.status === status).length]);
  const said = parts.filter(([, number]) => Number(number) > 0).map(([status, number]) => `${number} ${status}`);
  const longest = Math.max(0, ...here.map((worker) => worker.ran_for ?? 0));
  return `${said.join(", ")}${here.length > 0 ? `, ${here.length > 1 ? "the longest " : ""}for ${duration(longest)}` : ""}`;
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
      say(anchor, `worker ${worker.worker}${worker.title ? `: ${worker.title}` : ""}`);
    },
  };
}
