/**
 * What happened, the newest first, with the stack of that moment.
 */
import { FrameList } from "./frames.js";
import { make, put, say, takeOver } from "./dom.js";
import { Keyed } from "./keyed.js";
import { clock, duration } from "./words.js";

/** @typedef {import("./types.js").Event} Event */

/** @type {Record<string, string>} the colour of an event: that of the status it brings about */
const STATUS_OF = {
  hung: "hung",
  killed: "dying",
  "killed again": "dying",
  zombie: "zombie",
  capped: "hung",
  shed: "hung",
  "lock left": "hung",
  cut: "hung",
  ending: "hung",
  "mail failed": "hung",
  action: "busy",
  spawned: "idle",
};

/** @returns {import("./types.js").View} */
export function events() {
  const body = takeOver("events");
  const nothing = make("p", "soft", "Nothing has happened yet.");
  const list = make("ol", "log");
  const keyed = new Keyed(list, (event) => event.id, entry);
  body.append(nothing, list);
  return {
    show(state) {
      keyed.show(state.events);
      nothing.hidden = state.events.length > 0;
    },
  };
}

function entry() {
  const at = make("time");
  const kind = make("span", "status");
  const text = make("span", "text");
  const ago = make("span", "ago soft");
  const detail = make("p", "detail soft");
  const node = make("li", "", make("p", "head", at, " ", kind, " ", ago), make("p", "text", text), detail);
  let drawn = false;
  return {
    node,
    /** @param {Event} event */
    show(event) {
      say(ago, `${duration(event.ago)} ago`);
      say(text, event.text);
      say(kind, event.count > 1 ? `${event.kind} ×${event.count}` : event.kind);
      if (drawn) {
        return;
      }
      drawn = true;
      at.dateTime = event.at;
      put(at, "title", event.at);
      say(at, clock(event.at));
      put(kind, "class", `status status-${STATUS_OF[event.kind] ?? "retiring"}`);
      say(detail, event.detail);
      detail.hidden = event.detail === "";
      if (event.stack.length > 0) {
        node.append(momentOf(event));
      }
    },
  };
}

/**
 * @param {Event} event
 * @returns {HTMLElement} its stack, drawn when it is unfolded
 */
function momentOf(event) {
  const frames = new FrameList();
  const unfold = make("details", "stack small", make("summary", "", "Stack of that moment"), frames.node);
  const telling = event.stack.findIndex((frame) => frame.kind === "own");
  unfold.addEventListener("toggle", () => frames.show(event.stack, Math.max(0, telling), false));
  return unfold;
}
