/**
 * The slowest finished requests of the last minutes.
 */
import { heading, make, put, reveal, say, tabulate, takeOver } from "./dom.js";
import { Keyed } from "./keyed.js";
import { duration } from "./words.js";

/** @typedef {import("./types.js").Finished} Finished */

/** @type {[string, string][]} */
const COLUMNS = [
  ["took", "figure"],
  ["queued", "figure queued"],
  ["request", "wide"],
  ["client", "client"],
  ["answer", "answer"],
  ["ago", "figure"],
];

/** @returns {import("./types.js").View} */
export function slowest() {
  const body = takeOver("slowest");
  const table = tabulate("The slowest finished requests of the last minutes", COLUMNS, "slowest");
  const rows = make("tbody");
  table.append(rows);
  const nothing = make("p", "soft", "No request has finished in the last minutes.");
  const list = new Keyed(rows, (each) => each.serial, row);
  body.append(make("div", "scroll", table), nothing);
  return {
    show(state) {
      list.show(state.slowest);
      reveal(table, state.slowest.length > 0);
      reveal(nothing, state.slowest.length === 0);
    },
  };
}

function row() {
  const took = heading("", "row", "figure");
  const queued = make("td", "figure soft queued");
  const title = make("td", "wide request");
  const client = make("td", "client");
  const answer = make("td", "answer");
  const ago = make("td", "figure soft");
  return {
    node: make("tr", "", took, queued, title, client, answer, ago),
    /** @param {Finished} finished */
    show(finished) {
      say(took, duration(finished.duration));
      say(queued, duration(finished.queued));
      say(title, finished.title);
      put(title, "title", finished.title);
      say(client, finished.client);
      say(answer, [finished.status || "", finished.fate].filter(Boolean).join(" ") || "none");
      answer.classList.toggle("bad", finished.fate !== "" || finished.status >= 500);
      say(ago, duration(finished.ago));
    },
  };
}
