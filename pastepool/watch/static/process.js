/**
 * The process itself, and the settings it runs with.
 */
import { make, say, takeOver } from "./dom.js";
import { clock, counted, duration, number, percent, size } from "./words.js";

/** @typedef {import("./types.js").State} State */

/** @typedef {import("./types.js").Process["gc"][number]} Generation */

/** @param {Generation} each */
const tracked = (each) => `${number(each.tracked)} of ${number(each.threshold)} in ${each.generation}`;

/** @param {Generation} each */
const collected = (each) => `${number(each.collections)} of ${each.generation}`;

/**
 * @param {State["totals"]} totals
 * @param {Record<string, string>} words by the name of the total
 */
const said = (totals, words) =>
  Object.entries(words)
    .map(([name, word]) => `${number(Number(totals[name]))} ${word}`)
    .join(", ");

/** @type {[string, (state: State) => string][]} */
const FACTS = [
  ["pastepool", ({ process, host }) => process.version + (host && host !== "pastepool" ? ` under ${host}` : "")],
  ["Python", ({ process }) => `${process.python}${process.gil === false ? ", without a GIL" : ""}`],
  ["process", ({ process }) => `${process.pid} on ${process.host} (${process.platform})`],
  ["started", ({ process }) => `${clock(process.started_at)}, ${duration(process.uptime)} ago`],
  ["memory", ({ process }) => `${size(process.memory)}, at most ${size(process.memory_peak)}`],
  ["descriptors", ({ process }) => `${number(process.descriptors)} of ${number(process.descriptor_limit)}`],
  ["threads", ({ process }) => number(process.threads)],
  ["CPU", ({ process }) => `${percent(process.cpu_share)} of a processor now, ${duration(process.cpu_seconds)} in all`],
  ["garbage", ({ process }) => process.gc.map(tracked).join("; ")],
  ["collections", ({ process }) => process.gc.map(collected).join("; ")],
  ["requests", ({ totals }) => `${number(Number(totals.requests))} in ${duration(Number(totals.counted_for))}`],
  ["threads so far", ({ totals }) => said(totals, { spawned: "spawned", killed: "killed", gone: "gone" })],
  [
    "given up",
    ({ totals }) =>
      said(totals, { refused: "refused", expired: "waited too long", dropped: "hung up", turned_away: "turned away" }),
  ],
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
  const summary = make("summary");
  const fold = make("details", "stack", summary, list);
  body.append(fold);
  let drawn = "";
  return {
    show(state) {
      const now = JSON.stringify(state.settings);
      if (now === drawn) {
        return;
      }
      drawn = now;
      say(summary, `${counted(state.settings.length, "option")}, secrets masked`);
      const pairs = state.settings.map(([name, value]) => [make("dt", "", name), make("dd", "", value)]);
      list.replaceChildren(...pairs.map((pair) => make("div", "", ...pair)));
    },
  };
}
