/**
 * How the pool stands, in one sentence, in numbers, and as a bar with one cell for each thread there may be.
 */
import { draw, make, put, reveal, say, takeOver } from "./dom.js";
import { groupsOf } from "./groups.js";
import { ALWAYS, MEANING, STATUSES, STUCK, WORST_FIRST } from "./status.js";
import { counted, duration, number } from "./words.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Status} Status */

const WIDTH = 1000;
const CELLS = 120; // beyond this many, cells would be thinner than the gaps between them

/**
 * @param {(status: Status) => void} onChoose a tile was pressed: show these workers alone, or all again
 * @returns {import("./types.js").View & {mark: (chosen: Status|null) => void}}
 */
export function strip(onChoose) {
  const body = takeOver("strip");
  const headline = make("p", "headline");
  const reason = make("p", "reason");
  const tiles = new Map(STATUSES.map((status) => [status, tile(status, onChoose)]));
  const list = make("ul", "strip", ...[...tiles.values()].map(({ node }) => node));
  const figures = make("p", "figures");
  const chart = occupancy();
  body.append(make("div", "verdict", headline, reason), list, make("div", "slots", chart.node, figures));
  return {
    show(state) {
      const { pool } = state;
      const said = verdict(state);
      say(headline, said.headline);
      say(reason, said.reason);
      put(headline, "class", `headline ${said.mood}`);
      for (const [status, each] of tiles) {
        each.show(pool.counts[status] ?? 0);
      }
      chart.show(state);
      const target = `target ${number(pool.workers)}, cap ${number(pool.max_workers)}`;
      say(figures, `${counted(pool.size, "thread")}: ${target}${pool.draining ? "; draining" : ""}`);
    },
    mark(chosen) {
      for (const [status, each] of tiles) {
        put(each.button, "aria-pressed", String(status === chosen));
      }
    },
  };
}

/**
 * @param {Status} status
 * @param {(status: Status) => void} onChoose
 */
function tile(status, onChoose) {
  const figure = make("b", "", "0");
  const button = make("button", "tile", figure, " ", make("span", `status status-${status}`, status));
  button.type = "button";
  button.title = `${MEANING[status]}; press to see these alone`;
  put(button, "aria-pressed", "false");
  button.addEventListener("click", () => onChoose(status));
  const node = make("li", `status-${status}`, button);
  return {
    node,
    button,
    /** @param {number} count */
    show(count) {
      say(figure, number(count));
      node.classList.toggle("none", count === 0);
      reveal(node, count > 0 || ALWAYS.has(status));
    },
  };
}

/** The bar: a cell for each thread, hollow ones up to the cap. A picture; the numbers beside it say the same. */
function occupancy() {
  const cells = draw("g");
  const target = draw("path", { class: "target" });
  const box = { viewBox: `0 0 ${WIDTH} 30`, preserveAspectRatio: "none", class: "occupancy", "aria-hidden": "true" };
  const node = draw("svg", box, cells, target);
  let drawn = "";
  return {
    node,
    /** @param {State} state */
    show({ pool }) {
      const now = JSON.stringify([pool.counts, pool.max_workers, pool.workers]);
      if (now === drawn) {
        return;
      }
      drawn = now;
      const total = Math.max(pool.max_workers, pool.size, 1);
      const each = WIDTH / total;
      const gap = total <= CELLS ? Math.min(3, each / 4) : 0;
      cells.replaceChildren(...blocks(pool, total, total <= CELLS).map((block) => cell(block, each, gap)));
      put(target, "d", `M${(pool.workers * each - gap / 2).toFixed(2)} 0V30`);
    },
  };
}

/**
 * @param {import("./types.js").Pool} pool
 * @param {number} total
 * @param {boolean} single one cell a thread, or one for all of a status
 * @returns {{kind: string, from: number, count: number}[]}
 */
function blocks(pool, total, single) {
  const found = [];
  let from = 0;
  const free = Math.max(0, total - pool.size);
  const runs = WORST_FIRST.map((status) => ({ kind: `fill-${status}`, count: pool.counts[status] ?? 0 }));
  for (const { kind, count } of [...runs, { kind: "free", count: free }]) {
    const step = single ? 1 : Math.max(1, count);
    for (let done = 0; done < count; done += step) {
      found.push({ kind, from, count: step });
      from += step;
    }
  }
  return found;
}

/**
 * @param {{kind: string, from: number, count: number}} block
 * @param {number} each
 * @param {number} gap
 */
function cell({ kind, from, count }, each, gap) {
  const x = (from * each).toFixed(2);
  return draw("rect", { class: kind, x, y: 5, width: Math.max(0.5, count * each - gap).toFixed(2), height: 20 });
}

/**
 * The one sentence for a reader in a hurry, and where to look.
 *
 * @param {State} state
 * @returns {{headline: string, reason: string, mood: "bad"|"tight"|"good"}}
 */
export function verdict(state) {
  const { pool, workers, backlog, kind, processes } = state;
  const stuck = workers.filter((worker) => STUCK.has(worker.status));
  if (kind === "none") {
    return { headline: "There is no pool here.", reason: "", mood: "tight" };
  }
  if (pool.condemned) {
    return { headline: "Restart this process", reason: pool.condemned, mood: "bad" };
  }
  const trouble = processTrouble(processes ?? []);
  if (trouble !== null) {
    return { ...trouble, mood: "bad" };
  }
  if (stuck.length > 0) {
    const said = STATUSES.filter((status) => STUCK.has(status) && pool.counts[status] > 0);
    const parts = said.map((status) => `${number(pool.counts[status])} ${status}`).join(", ");
    return { headline: `${parts} of ${counted(pool.size, "thread")}`, reason: commonPlace(stuck, state), mood: "bad" };
  }
  const ready = (pool.counts.idle ?? 0) + (pool.counts.starting ?? 0);
  if (ready === 0 && backlog.length > 0) {
    const wait = backlog.oldest_for === null ? "" : `, the oldest for ${duration(backlog.oldest_for)}`;
    const reason = `${counted(backlog.length, "request")} waiting${wait}.`;
    return { headline: "Nobody is free", reason, mood: "tight" };
  }
  const sending = pool.counts.sending > 0 ? `${number(pool.counts.sending)} sending, ` : "";
  const reason = `${number(pool.counts.busy)} busy, ${sending}${number(ready)} ready for more.`;
  return { headline: "Nothing hangs", reason, mood: "good" };
}

/**
 * What an operator should know of the processes before all else: that none serves, or which do not answer.
 *
 * @param {import("./types.js").OneOfSeveral[]} processes
 * @returns {{headline: string, reason: string}|null}
 */
function processTrouble(processes) {
  const silent = processes.filter((one) => one.silent_for !== null || one.state === "stuck");
  if (silent.length > 0) {
    const [first] = silent;
    const since = first.silent_for === null ? "stands still" : `does not answer since ${duration(first.silent_for)}`;
    const many = silent.length === 1 ? "does not answer" : "do not answer";
    return {
      headline: `${silent.length} of ${processes.length} processes ${many}`,
      reason: `Process ${first.slot} (pid ${first.pid}) ${since}.`,
    };
  }
  if (processes.length > 0 && processes.every((one) => one.state !== "ready")) {
    return { headline: "No process serves", reason: `${processes.length} of them: ${processes[0].state}.` };
  }
  return null;
}

/** @param {import("./types.js").Worker} worker */
const isStuck = (worker) => STUCK.has(worker.status);

/**
 * @param {import("./types.js").Worker[]} stuck
 * @param {State} state
 * @returns {string} where most of them are
 */
function commonPlace(stuck, state) {
  const crowds = groupsOf(state).map(({ place, here }) => ({ place, here: here.filter(isStuck) }));
  const { place, here: most } = crowds.reduce((one, other) => (other.here.length > one.here.length ? other : one), {
    place: "",
    here: /** @type {import("./types.js").Worker[]} */ ([]),
  });
  if (most.length === 0) {
    return "";
  }
  const doing = shared(most.map((worker) => worker.doing));
  const some = `${most.length} of them ${most.length === 1 ? "is" : "are"}`;
  const who = stuck.length === 1 ? "It is" : most.length === stuck.length ? `All ${most.length} are` : some;
  return `${who} in ${place}${doing ? `, ${doing}` : ""}.`;
}

/**
 * What several do, in words that are true of all of them, or else of most.
 *
 * @param {string[]} texts
 * @returns {string}
 */
function shared(texts) {
  // After the colon are figures, and each thread has its own.
  const plain = new Set(texts).size > 1 ? texts.map((text) => text.split(": ")[0]) : texts;
  const same = commonWords(plain);
  if (same !== "") {
    return same;
  }
  const most = plain.reduce((one, other) => (count(plain, other) > count(plain, one) ? other : one));
  const here = count(plain, most);
  return most !== "" && here > 1 ? `${here} of them ${most}` : "";
}

/**
 * @param {string[]} texts
 * @param {string} wanted
 * @returns {number}
 */
const count = (texts, wanted) => texts.filter((text) => text === wanted).length;

/**
 * @param {string[]} texts
 * @returns {string} the words they all begin with; `blocked in recv`, where they wait for different machines
 */
function commonWords(texts) {
  const [first, ...others] = texts.map((text) => text.split(" "));
  const same = first.findIndex((word, at) => others.some((other) => other[at] !== word));
  return (same < 0 ? first : first.slice(0, same)).join(" ").replace(/( (from|on|to|for|in))+$/, "");
}
