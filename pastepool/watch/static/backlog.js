/**
 * Complete requests that wait for a worker.
 */
import { heading, make, reveal, say, tabulate, takeOver } from "./dom.js";
import { Keyed } from "./keyed.js";
import { counted, duration, number } from "./words.js";

/** @typedef {import("./types.js").Waiting} Waiting */

/** @type {[string, string][]} */
const COLUMNS = [
  ["waits", "figure"],
  ["request", "wide"],
  ["client", ""],
];

/** @returns {import("./types.js").View} */
export function backlog() {
  const body = takeOver("backlog");
  const length = make("b", "big");
  const limit = make("span", "soft");
  const oldest = make("p", "oldest");
  const table = tabulate("The requests that wait, the oldest first", COLUMNS, "waiting");
  const rows = make("tbody");
  table.append(rows);
  const list = new Keyed(rows, ({ at }) => at, waitingRow);
  const more = make("p", "soft");
  body.append(make("p", "", length, " ", limit), oldest, make("div", "scroll", table), more);
  return {
    show({ backlog: now, connections }) {
      say(length, number(now.length));
      const known = connections.open !== null;
      const open = known ? `; ${number(connections.open)} of ${number(connections.limit)} connections open` : "";
      say(limit, `waiting${now.limit === null ? "" : `, of at most ${number(now.limit)}`}${open}`);
      const each = now.timeout ? `; each may for ${duration(now.timeout)}` : "";
      const wait = `The oldest has waited for ${duration(now.oldest_for)}${each}.`;
      say(oldest, now.oldest_for === null ? "Nobody waits." : wait);
      list.show(now.waiting.map((waiting, at) => ({ at, waiting })));
      reveal(table, now.waiting.length > 0);
      const rest = now.length - now.waiting.length;
      say(more, rest > 0 ? `and ${counted(rest, "more request", "more requests")}` : "");
    },
  };
}

function waitingRow() {
  const waits = heading("", "row", "figure");
  const title = make("td", "wide request");
  const client = make("td", "client");
  return {
    node: make("tr", "", waits, title, client),
    /** @param {{at: number, waiting: Waiting}} thing */
    show({ waiting }) {
      say(waits, duration(waiting.waited_for));
      say(title, waiting.title);
      say(client, waiting.client);
    },
  };
}
