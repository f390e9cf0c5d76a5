/**
 * Where the time goes: waiting for a worker, in the application, and until a slow client had read everything.
 */
import { draw, heading, make, put, say, tabulate, takeOver } from "./dom.js";
import { duration, number } from "./words.js";

/** @typedef {import("./types.js").Latency} Latency */

const WIDTH = 320;
const HEIGHT = 40;
const LOWEST = -4; // the scale runs from 0.1 ms
const DECADES = 6; // to 100 s
const BINS = 4; // bars a decade

/** @type {[keyof import("./types.js").State["latency"], string][]} */
const PARTS = [
  ["queue", "waiting for a worker"],
  ["application", "in the application"],
  ["write", "client reading the rest"],
];
const COLUMNS = /** @type {const} */ (["p50", "p95", "p99", "max"]);

/** @returns {import("./types.js").View} */
export function latency() {
  const body = takeOver("latency");
  const columns = /** @type {[string, string][]} */ ([["part", ""], ["distribution", "wide"], ...COLUMNS.map((name) => [name, "figure"]), ["requests", "figure"]]);
  const table = tabulate("Latency of finished requests, by part", columns, "latency");
  const rows = PARTS.map(([part, meaning]) => row(part, meaning));
  const scale = make("tr", "scale", make("td"), make("td", "wide", /** @type {any} */ (axis())), make("td"));
  /** @type {HTMLTableCellElement} */ (scale.lastElementChild).colSpan = COLUMNS.length + 1;
  table.append(make("tbody", "", ...rows.map(({ node }) => node), scale));
  const since = make("p", "soft");
  body.append(make("div", "scroll", table), since);
  return {
    show({ latency: all, totals }) {
      for (const each of rows) {
        each.show(all[each.part]);
      }
      const spoken = `Bars: how many requests took how long, both scales logarithmic; lines: p50, p95 dashed, p99 dotted. Counted for ${duration(Number(totals.counted_for))}`;
      say(since, `${spoken}: ${number(Number(totals.waited))} had to wait, ${number(Number(totals.refused) + Number(totals.expired))} were answered 503.`);
    },
  };
}

/**
 * @param {keyof import("./types.js").State["latency"]} part
 * @param {string} meaning
 */
function row(part, meaning) {
  const picture = histogram(part);
  const cells = COLUMNS.map((column) => labelled("figure", column));
  const count = labelled("figure soft", "requests");
  const name = heading("", "row");
  name.append(part, make("small", "", meaning));
  const node = make("tr", "", name, make("td", "wide", /** @type {any} */ (picture.node)), ...cells, count);
  return {
    node,
    part,
    /** @param {Latency} measured */
    show(measured) {
      COLUMNS.forEach((column, at) => say(cells[at], duration(measured[column])));
      say(count, number(measured.count));
      picture.show(measured);
    },
  };
}

/**
 * @param {string} className
 * @param {string} label its column's name, for narrow screens
 */
function labelled(className, label) {
  const made = make("td", className);
  made.dataset.label = label;
  return made;
}

/** @param {number} seconds */
const place = (seconds) => {
  const share = (Math.log10(Math.max(seconds, 1e-9)) - LOWEST) / DECADES;
  return Math.min(1, Math.max(0, share)) * WIDTH;
};

/** @param {string} part */
function histogram(part) {
  const bars = draw("path", { class: "bars" });
  const marks = ["p50", "p95", "p99"].map((name) => draw("path", { class: `mark ${name}` }));
  const node = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "histogram", role: "img" }, bars, ...marks);
  return {
    node,
    /** @param {Latency} measured */
    show(measured) {
      put(bars, "d", barPath(measured.buckets));
      [measured.p50, measured.p95, measured.p99].forEach((value, at) => {
        put(marks[at], "d", value === null || value === undefined ? "" : `M${place(value).toFixed(1)} 0V${HEIGHT}`);
      });
      const said = `half of the requests within ${duration(measured.p50)}, 95 of 100 within ${duration(measured.p95)}, 99 within ${duration(measured.p99)}`;
      put(node, "aria-label", `${part}: ${said}`);
    },
  };
}

/**
 * @param {[number|null, number][]} buckets
 * @returns {string} bars of equal width on the logarithmic scale; the first also takes what was faster, the last what was slower
 */
export function barPath(buckets) {
  const bins = new Array(DECADES * BINS).fill(0);
  for (const [bound, count] of buckets) {
    const at = bound === null ? bins.length - 1 : Math.ceil((Math.log10(Math.max(bound, 1e-9)) - LOWEST) * BINS - 1e-6) - 1;
    bins[Math.min(bins.length - 1, Math.max(0, at))] += count;
  }
  const tallest = Math.log1p(Math.max(1, ...bins));
  const width = WIDTH / bins.length;
  return bins
    .map((count, at) => {
      const height = count === 0 ? 0 : Math.max(2, (Math.log1p(count) / tallest) * (HEIGHT - 2));
      const x = at * width + 0.75;
      return height === 0 ? "" : `M${x.toFixed(2)} ${HEIGHT}v${(-height).toFixed(1)}h${(width - 1.5).toFixed(2)}v${height.toFixed(1)}z`;
    })
    .join("");
}

function axis() {
  const names = ["0.1 ms", "10 ms", "1 s", "100 s"];
  return make("span", "axis", ...names.map((name) => make("span", "", name)));
}
