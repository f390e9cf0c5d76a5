/**
 * The processes of a server that has several: how each is, and the stacks that C code has written of one that stands
 * still. A server with one process has none of this.
 */
import { heading, make, put, reveal, say, tabulate, takeOver } from "./dom.js";
import { Keyed } from "./keyed.js";
import { duration, NOTHING, number, size } from "./words.js";

/** @typedef {import("./types.js").OneOfSeveral} OneOfSeveral */
/** @typedef {import("./types.js").MoldShown} MoldShown */

/** @type {[string, string][]} */
const COLUMNS = [
  ["process", "figure"],
  ["pid", "figure"],
  ["generation", "figure"],
  ["state", "state"],
  ["for", "figure"],
  ["requests", "figure"],
  ["running", "figure"],
  ["memory", "figure"],
  ["last beat", "figure"],
  ["remarks", "wide"],
];

/** @returns {import("./types.js").View} */
export function processes() {
  const body = takeOver("processes");
  const table = tabulate("The processes of this server", COLUMNS, "processes");
  const rows = make("tbody");
  table.append(rows);
  const list = new Keyed(rows, (each) => each.serial, row);
  const section = document.getElementById("processes");
  body.append(make("div", "scroll", table));
  return {
    show(state) {
      const shown = [...(state.processes ?? []), ...(state.molds ?? []).map(asProcess)];
      list.show(shown);
      if (section !== null) {
        reveal(section, shown.length > 0);
      }
    },
  };
}

/**
 * A mold as a row among the processes: it has no place among them, serves nobody and has no beat.
 *
 * @param {MoldShown} mold
 */
function asProcess(mold) {
  const none = { requests: null, running: null, beat_ago: null, silent_for: null, stacks: "" };
  return { ...mold, ...none, slot: "mold", serial: `mold ${mold.pid}` };
}

function row() {
  const slot = heading("", "row", "figure");
  const [pid, generation] = [make("td", "figure"), make("td", "figure")];
  const state = make("td", "state");
  const [lasted, requests, running, memory, beat] = Array.from({ length: 5 }, () => make("td", "figure"));
  const words = make("span");
  const stacks = make("pre");
  const fold = make("details", "stack", make("summary", "", "stacks"), stacks);
  const remarks = make("td", "wide", words, fold);
  return {
    node: make("tr", "", slot, pid, generation, state, lasted, requests, running, memory, beat, remarks),
    /** @param {OneOfSeveral | ReturnType<typeof asProcess>} process */
    show(process) {
      say(slot, String(process.slot));
      say(pid, String(process.pid));
      say(generation, String(process.generation));
      say(state, process.state);
      say(lasted, duration(process.for));
      say(requests, process.requests === null ? NOTHING : number(process.requests));
      say(running, process.running === null ? NOTHING : number(process.running));
      say(memory, process.memory === null ? NOTHING : size(process.memory));
      say(beat, process.beat_ago === null ? NOTHING : `${duration(process.beat_ago)} ago`);
      say(words, remark(process));
      say(stacks, process.stacks);
      reveal(fold, process.stacks !== "");
      put(state, "class", `state ${process.state}`);
      words.classList.toggle("bad", process.silent_for !== null);
    },
  };
}

/** @param {{silent_for: number|null}} process */
export function remark({ silent_for: silentFor }) {
  return silentFor === null ? "" : `does not answer since ${duration(silentFor)}`;
}
