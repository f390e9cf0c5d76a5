/**
 * The table of workers: a row each, found again by its number, and behind each row what it is doing right now.
 */
import { keepTable, make, put, reveal, say, tabulate, takeOver } from "./dom.js";
import { Keyed } from "./keyed.js";
import { WorkerRow } from "./worker-row.js";
import { counted, number } from "./words.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Status} Status */
/** @typedef {import("./types.js").Worker} Worker */

const IDLE_SHOWN = 10; // more idle workers than this are one line until somebody asks

const MANY = 60; // rows, from which those out of sight are not laid out

/** @type {[string, string][]} */
const COLUMNS = [
  ["worker", "number"],
  ["state", "state"],
  ["for", "for"],
  ["request", "request"],
  ["doing", "doing"],
  ["client", "client"],
  ["CPU", "cpu"],
  ["served", "served"],
  ["actions", "act"],
];

/**
 * @param {(worker: Worker) => void} onKill
 * @returns {import("./types.js").View & {only: (status: Status|null) => void, reveal: (worker: number) => void}}
 */
export function workers(onKill) {
  const body = takeOver("workers");
  const table = tabulate("Workers, the longest-running first, the idle ones last", COLUMNS, "workers live-rows");
  const list = new Keyed(table, (each) => each.worker.worker, () => new WorkerRow(onKill));
  keepTable(table);
  const search = field();
  const count = make("span", "soft");
  const rest = make("button", "quiet rest");
  rest.type = "button";
  body.append(make("p", "tools", search.label, count), table, rest);

  /** @type {State|null} */
  let last = null;
  /** @type {Status|null} */
  let status = null;
  let everyone = false;

  const draw = () => {
    if (last === null) {
      return;
    }
    const wanted = search.input.value.trim().toLowerCase();
    const chosen = ordered(last.workers).filter((worker) => status === null || worker.status === status);
    const found = chosen.filter((worker) => matches(worker, wanted));
    const idle = found.filter((worker) => worker.status === "idle").length;
    const folded = !everyone && status !== "idle" && idle > IDLE_SHOWN;
    const shown = folded ? found.filter((worker) => worker.status !== "idle") : found;
    const stacks = new Map(last.stacks.map((stack) => [stack.id, stack]));
    table.classList.toggle("many", shown.length > MANY);
    list.show(shown.map((worker) => ({ worker, stack: stacks.get(worker.stack ?? -1) ?? null })));
    const all = counted(last.workers.length, "worker");
    say(count, found.length === last.workers.length ? all : `${number(found.length)} of ${all}`);
    reveal(rest, folded || (everyone && idle > IDLE_SHOWN));
    say(rest, folded ? `Show ${number(idle)} idle workers` : "Fold the idle workers");
    put(rest, "aria-expanded", String(!folded));
  };
  search.input.addEventListener("input", draw);
  rest.addEventListener("click", () => {
    everyone = !everyone;
    draw();
  });
  return {
    show(state) {
      last = state;
      draw();
    },
    only(chosen) {
      status = chosen;
      draw();
    },
    reveal(wanted) {
      search.input.value = "";
      draw();
      const item = list.items.get(wanted);
      if (item instanceof WorkerRow) {
        item.open();
      }
    },
  };
}

function field() {
  const input = make("input");
  input.type = "search";
  input.placeholder = "path, client, place, state …";
  input.autocomplete = "off";
  input.spellcheck = false;
  return { input, label: make("label", "find", make("span", "", "Filter"), input) };
}

/**
 * The server's order, with the idle ones by number: they take turns, and rows that dance cannot be read.
 *
 * @param {Worker[]} all
 * @returns {Worker[]}
 */
function ordered(all) {
  const idle = all.filter((worker) => worker.status === "idle").sort((one, other) => one.worker - other.worker);
  return [...all.filter((worker) => worker.status !== "idle"), ...idle];
}

/**
 * @param {Worker} worker
 * @param {string} wanted in small letters
 * @returns {boolean}
 */
function matches(worker, wanted) {
  if (wanted === "") {
    return true;
  }
  const { name, native_id: nativeId, status, title, query, client, phase, doing, place } = worker;
  const texts = [name, String(nativeId ?? ""), status, title, query, client, phase, doing, place];
  return texts.some((text) => text.toLowerCase().includes(wanted));
}
