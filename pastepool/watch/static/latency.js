/**
 * Where the time goes: waiting for a worker, in the application, and until a slow client had read everything.
 */
import { draw, heading, keepTable, make, put, say, tabulate, takeOver } from "./dom.js";
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
const LEGEND =
  "Bars: how many requests took how long, both scales logarithmic; lines: p50, p95 dashed, p99 dotted.";
const COLUMNS = /** @type {const} */ (["p50", "p95", "p99", "max"]);

/** @returns {import("./types.js").View} */
export function latency() {
  const body = takeOver("latency");
  const figures = [...COLUMNS, "requests"].map((name) => /** @type {[string, string]} */ ([name, "figure"]));
  /** @type {[string, string][]} */
  const columns = [["part", ""], ["distribution", "wide"], ...figures];
  const table = tabulate("Latency of finished requests, by part", columns, "latency parts");
  const rows = PARTS.map(([part, meaning]) => row(part, meaning));
  table.append(make("tbody", "", ...rows.map(({ node }) => node)));
  keepTable(table);
  const since = make("p", "soft");
  body.append(make("div", "scroll", table), since);
  return {
    show({ latency: all, totals }) {
      for (const each of rows) {
        each.show(all[each.part]);
      }
      const waited = `${number(Number(totals.waited))} had to wait`;
      const refused = `${number(Number(totals.refused) + Number(totals.expired))} were answered 503`;
      say(since, `${LEGEND} Counted for ${duration(Number(totals.counted_for))}: ${waited}, ${refused}.`);
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
  const node = make("tr", "", name, make("td", "wide", picture.node, axis()), ...cells, count);
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
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  const node = draw("svg", { ...box, class: "histogram", role: "img" }, bars, ...marks);
  return {
    node,
    /** @param {Latency} measured */
    show(measured) {
      put(bars, "d", barPath(measured.buckets));
      [measured.p50, measured.p95, measured.p99].forEach((value, at) => {
        put(marks[at], "d", value === null || value === undefined ? "" : `M${place(value).toFixed(1)} 0V${HEIGHT}`);
      });
      const [half, most, nearly] = [measured.p50, measured.p95, measured.p99].map(duration);
      const said = `half of the requests within ${half}, 95 of 100 within ${most}, 99 within ${nearly}`;
      put(node, "aria-label", `${part}: ${said}`);
    },
  };
}

/**
 * Bars of equal width on the logarithmic scale; the first also takes what was faster, the last what was slower.
 *
 * @param {[number|null, number][]} buckets
 * @returns {string} a path
 */
export function barPath(buckets) {
  const bins = new Array(DECADES * BINS).fill(0);
  for (const [bound, count] of buckets) {
    const decades = Math.log10(Math.max(bound ?? Infinity, 1e-9)) - LOWEST;
    const at = Math.ceil(decades * BINS - 1e-6) - 1;
    bins[Math.min(bins.length - 1, Math.max(0, at))] += count;
  }
  const tallest = Math.log1p(Math.max(1, ...bins));
  const width = WIDTH / bins.length;
  return bins
    .map((count, at) => {
      if (count === 0) {
        return "";
      }
      const height = Math.max(2, (Math.log1p(count) / tallest) * (HEIGHT - 2)).toFixed(1);
      return `M${(at * width + 0.75).toFixed(2)} ${HEIGHT}v-${height}h${(width - 1.5).toFixed(2)}v${height}z`;
    })
    .join("");
}

function axis() {
  const names = ["0.1 ms", "10 ms", "1 s", "100 s"];
  const node = make("span", "axis", ...names.map((name) => make("span", "", name)));
  node.ariaHidden = "true";
  return node;
}
