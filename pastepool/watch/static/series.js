/**
 * Requests a second, workers in use and backlog over the last minutes, as three small drawings with their numbers.
 */
import { draw, make, put, say, takeOver } from "./dom.js";
import { duration, NOTHING, number } from "./words.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {(number|null)[]} Values */

const WIDTH = 300;
const HEIGHT = 44;

/** @returns {import("./types.js").View} */
export function series() {
  const body = takeOver("series");
  const requests = chart("requests a second", 5);
  const busy = chart("workers in use", 4);
  const backlog = chart("waiting in the backlog", 5);
  body.append(make("div", "sparks", requests.node, busy.node, backlog.node));
  return {
    show({ series: all, pool, backlog: waiting }) {
      requests.show(all.requests, null, all, latest(all.requests), "");
      const used = all.busy.map((value, at) => (value === null ? null : value + (all.hung[at] ?? 0)));
      const { busy: running, hung } = pool.counts;
      busy.show(used, all.hung, all, running + hung, hung > 0 ? `${number(hung)} hung` : `of ${number(pool.size)}`);
      backlog.show(all.backlog, null, all, waiting.length, "");
    },
  };
}

/**
 * @param {Values} values
 * @returns {number|null}
 */
const latest = (values) => (values.length === 0 ? null : values[values.length - 1]);

/**
 * @param {string} title
 * @param {number} least the scale ends no lower than this, so that one request does not look like a storm
 */
function chart(title, least) {
  const area = draw("path", { class: "area" });
  const line = draw("path", { class: "line" });
  const bad = draw("path", { class: "bad" });
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" };
  const picture = draw("svg", box, area, bad, line);
  const figure = make("b", "", NOTHING);
  const aside = make("span", "aside");
  const top = make("span", "peak");
  const caption = make("figcaption", "", figure, " ", make("span", "what", title), aside, top);
  const node = make("figure", "spark", caption, picture);
  return {
    node,
    /**
     * @param {Values} values
     * @param {Values|null} worse drawn in front, in the colour of what hangs
     * @param {import("./types.js").Series} all
     * @param {number|null} now from the same moment as the rest of the page; the last value may be a second older
     * @param {string} remark
     */
    show(values, worse, all, now, remark) {
      const known = /** @type {number[]} */ (values.filter((value) => value !== null));
      const peak = known.length === 0 ? null : Math.max(...known);
      const scale = { top: Math.max(least, peak ?? 0) * 1.05, limit: Math.max(2, all.limit) };
      put(line, "d", trace(values, scale, false));
      put(area, "d", trace(values, scale, true));
      put(bad, "d", worse === null ? "" : trace(worse, scale, true));
      const span = duration(values.length * all.interval);
      say(figure, number(now));
      say(aside, remark);
      aside.classList.toggle("bad", remark.endsWith("hung"));
      say(top, peak === null ? "" : `peak ${number(peak)} in ${span}`);
      put(picture, "aria-label", `${title}: now ${number(now)}, highest ${number(peak)} in the last ${span}`);
    },
  };
}

/**
 * The path of a series that ends at the right edge; a gap where nobody measured.
 *
 * @param {Values} values
 * @param {{top: number, limit: number}} scale
 * @param {boolean} closed down to the ground
 * @returns {string}
 */
export function trace(values, { top, limit }, closed) {
  const step = WIDTH / (limit - 1);
  const x = (/** @type {number} */ at) => (WIDTH - (values.length - 1 - at) * step).toFixed(1);
  const y = (/** @type {number} */ value) => (HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1);
  const parts = [];
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    if (value === null) {
      continue;
    }
    const first = at === 0 || values[at - 1] === null;
    const last = at === values.length - 1 || values[at + 1] === null;
    if (closed && first) {
      parts.push(`M${x(at)} ${HEIGHT}`);
    }
    parts.push(`${first && !closed ? "M" : "L"}${x(at)} ${y(value)}`);
    if (closed && last) {
      parts.push(`L${x(at)} ${HEIGHT}Z`);
    }
  }
  return parts.join("");
}
