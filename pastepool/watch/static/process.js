/**
 * The process itself, and the settings it runs with.
 */
import { make, say, takeOver } from "./dom.js";
import { clock, counted, duration, number, percent, size } from "./words.js";

/** @typedef {import("./types.js").State} State */

/** @type {[string, (state: State) => string][]} */
const FACTS = [
  ["pastepool", ({ process }) => process.version],
  ["Python", ({ process }) => `${process.python}${process.gil === false ? ", without a GIL" : ""}`],
  ["process", ({ process }) => `${process.pid} on ${process.host} (${process.platform})`],
  ["started", ({ process }) => `${clock(process.started_at)}, ${duration(process.uptime)} ago`],
  ["memory", ({ process }) => `${size(process.memory)}, at most ${size(process.memory_peak)}`],
  ["descriptors", ({ process }) => `${number(process.descriptors)} of ${number(process.descriptor_limit)}`],
  ["threads", ({ process }) => number(process.threads)],
  ["CPU", ({ process }) => `${percent(process.cpu_share)} of a processor now, ${duration(process.cpu_seconds)} in all`],
  ["garbage", ({ process }) => process.gc.map((each) => `${number(each.tracked)} of ${number(each.threshold)} in ${each.generation}`).join("; ")],
  ["collections", ({ process }) => process.gc.map((each) => `${number(each.collections)} of ${each.generation}`).join("; ")],
  ["requests", ({ totals }) => `${number(Number(totals.requests))} in ${duration(Number(totals.counted_for))}`],
  ["threads so far", ({ totals }) => `${number(Number(totals.spawned))} spawned, ${number(Number(totals.killed))} killed, ${number(Number(totals.gone))} gone`],
  ["given up", ({ totals }) => `${number(Number(totals.refused))} refused, ${number(Number(totals.expired))} waited too long, ${number(Number(totals.dropped))} hung up`],
  ["you", ({ you }) => you.address],
];

/** @returns {import("./types.js").View} */
export function facts() {
  const body = takeOver("process");
  const rows = FACTS.map(([name, read]) => ({ read, value: make("dd"), name }));
  body.append(make("dl", "facts", ...rows.map(({ name, value }) => make("div", "", make("dt", "", name), value))));
  return {
    show(state) {
      for (const { read, value } of rows) {
        say(value, read(state));
      }
    },
  };
}

/** @returns {import("./types.js").View} */
export function settings() {
  const body = takeOver("settings");
  const list = make("dl", "facts mono");
  const fold = make("details", "stack", make("summary", ""), list);
  body.append(fold);
  let drawn = "";
  return {
    show(state) {
      const now = JSON.stringify(state.settings);
      if (now === drawn) {
        return;
      }
      drawn = now;
      say(/** @type {Element} */ (fold.firstElementChild), `${counted(state.settings.length, "option")}, secrets masked`);
      list.replaceChildren(...state.settings.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value))));
    },
  };
}
