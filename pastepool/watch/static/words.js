/**
 * Numbers as people read them. Pure: a value in, a text out.
 */

const NARROW = "\u202f";
/** What is shown where nothing is known. */
export const NOTHING = "–";

/**
 * A duration with two figures that matter; beyond a second it is cut, not rounded: nothing looks overdue early.
 *
 * @param {number|null|undefined} seconds
 * @returns {string} `4.2 ms`, `310 ms`, `6.4 s`, `42 s`, `5 min 12 s`, `2 h 15 min`, `3 d 4 h`
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) {
    return NOTHING;
  }
  if (seconds < 0.9995) {
    const thousandths = seconds * 1000;
    return `${thousandths > 0 && thousandths < 9.95 ? thousandths.toFixed(1) : Math.round(thousandths)}${NARROW}ms`;
  }
  if (seconds < 10) {
    return `${(Math.floor(seconds * 10) / 10).toFixed(1)}${NARROW}s`;
  }
  if (seconds < 120) {
    return `${Math.floor(seconds)}${NARROW}s`;
  }
  return long(Math.floor(seconds));
}

/**
 * @param {number} seconds whole, 120 or more
 * @returns {string}
 */
function long(seconds) {
  const [size, unit, part, name] =
    seconds < 7200 ? [60, "min", 1, "s"] : seconds < 172800 ? [3600, "h", 60, "min"] : [86400, "d", 3600, "h"];
  const rest = Math.floor((seconds % Number(size)) / Number(part));
  const whole = `${Math.floor(seconds / Number(size))}${NARROW}${unit}`;
  return rest === 0 ? whole : `${whole} ${rest}${NARROW}${name}`;
}

/**
 * @param {number|null|undefined} value
 * @returns {string} `81 391`, with the thin spaces that every language reads
 */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return NOTHING;
  }
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, NARROW);
}

/**
 * @param {number|null|undefined} bytes
 * @returns {string} `65.1 MiB`
 */
export function size(bytes) {
  if (bytes === null || bytes === undefined) {
    return NOTHING;
  }
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)}${NARROW}${units[power]}`;
}

/**
 * @param {number|null|undefined} share 0 to 1
 * @returns {string} `98 %`
 */
export function percent(share) {
  return share === null || share === undefined ? NOTHING : `${Math.round(share * 100)}${NARROW}%`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 * @returns {string} `1 thread`, `7 threads`
 */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** @param {number} value */
const twoDigits = (value) => String(value).padStart(2, "0");

/**
 * An instant on the reader's clock.
 *
 * @param {string|null} iso
 * @returns {string} `10:15:30`, with the date when it is not today's
 */
export function clock(iso) {
  if (iso === null) {
    return NOTHING;
  }
  const then = new Date(iso);
  if (Number.isNaN(then.getTime())) {
    return iso;
  }
  const time = [then.getHours(), then.getMinutes(), then.getSeconds()].map(twoDigits);
  const today = then.toDateString() === new Date().toDateString();
  const date = [then.getFullYear(), then.getMonth() + 1, then.getDate()].map(twoDigits);
  return today ? time.join(":") : `${date.join("-")} ${time.join(":")}`;
}

/**
 * The number of a worker for people: with several processes the place of its process stands before it.
 *
 * @param {{worker: number, label?: string}} worker
 */
export const labelOf = ({ worker, label }) => label ?? String(worker);
