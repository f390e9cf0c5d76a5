/**
 * One worker: its row, and what is behind it. A body of the table each, so that both are one element.
 */
import { heading, make, put, reveal, say } from "./dom.js";
import { pill, STUCK } from "./status.js";
import { duration, labelOf, NOTHING, number, percent } from "./words.js";
import { Detail, standsStill } from "./worker-detail.js";

/** @typedef {import("./types.js").Worker} Worker */
/** @typedef {import("./types.js").Stack} Stack */

export class WorkerRow {
  /** @param {(worker: Worker) => void} onKill */
  constructor(onKill) {
    this.onKill = onKill;
    /** @type {Worker|null} */
    this.worker = null;
    /** @type {Stack|null} */
    this.stack = null;
    /** @type {Detail|null} */
    this.detail = null;
    this.toggle = make("button", "toggle");
    this.toggle.type = "button";
    put(this.toggle, "aria-expanded", "false");
    this.native = make("small", "native");
    this.pill = pill();
    this.method = make("span", "method");
    this.path = make("span", "path");
    this.phase = make("small", "phase");
    this.doing = make("span", "what");
    this.place = make("bdi");
    this.place.dir = "ltr";
    this.unmoved = make("small", "unmoved");
    this.client = make("span");
    this.cpu = make("span", "share");
    this.gauge = make("span", "gauge");
    this.lasting = cell("for", "for");
    this.served = cell("served", "served");
    this.kill = make("button", "kill", "Kill");
    this.kill.type = "button";
    const line = make("span", "line", this.method, " ", this.path);
    this.row = make(
      "tr",
      "",
      named(heading("", "row", "number"), "worker", this.toggle, " ", this.native),
      cell("state", "state", this.pill.node),
      this.lasting,
      cell("request", "request", line, make("span", "still", this.phase, this.unmoved)),
      cell("doing", "doing", this.doing, make("small", "place", this.place)),
      cell("client", "client", this.client),
      cell("cpu", "CPU", this.cpu, this.gauge),
      this.served,
      cell("act", "actions", this.kill),
    );
    this.node = make("tbody", "worker", this.row);
    put(this.node, "role", "rowgroup");
    put(this.row, "role", "row");
    this.#listen();
  }

  #listen() {
    this.toggle.addEventListener("click", (event) => {
      event.stopPropagation();
      this.#unfold(this.detail === null);
    });
    this.row.addEventListener("click", () => {
      if (String(getSelection() ?? "") === "") {
        this.#unfold(this.detail === null);
      }
    });
    this.kill.addEventListener("click", (event) => {
      event.stopPropagation();
      if (this.worker !== null) {
        this.onKill(this.worker);
      }
    });
  }

  /** @param {{worker: Worker, stack: Stack|null}} thing */
  show({ worker, stack }) {
    const before = this.worker;
    this.worker = worker;
    this.stack = stack;
    this.#showState(worker, before);
    this.#showRequest(worker);
    this.#showDoing(worker);
    say(this.served, number(worker.served));
    reveal(this.kill, worker.can_kill || worker.kill_note !== "");
    this.kill.disabled = !worker.can_kill;
    put(this.kill, "title", worker.kill_note || null);
    this.detail?.show(worker, stack);
  }

  /**
   * @param {Worker} worker
   * @param {Worker|null} before
   */
  #showState(worker, before) {
    if (before === null) {
      this.row.id = `worker-${worker.worker}`;
      this.toggle.title = worker.name;
      put(this.row, "data-worker", String(worker.worker));
      put(this.toggle, "aria-label", `worker ${labelOf(worker)}: stack and request`);
    }
    say(this.toggle, labelOf(worker));
    say(this.native, !worker.native_id ? "" : `tid ${worker.native_id}`);
    put(this.row, "data-serial", worker.serial === null ? null : String(worker.serial));
    if (before === null || before.status !== worker.status || before.own !== worker.own) {
      const changed = before !== null && before.status !== worker.status && STUCK.has(worker.status);
      put(this.row, "class", `status-${worker.status}${worker.own ? " own" : ""}${changed ? " changed" : ""}`);
    }
    this.pill.show(worker.status);
    say(this.lasting, duration(worker.for));
  }

  /** @param {Worker} worker */
  #showRequest(worker) {
    const address = worker.path ? `${worker.path}${worker.query ? `?${worker.query}` : ""}` : worker.title;
    say(this.method, worker.path ? worker.method : "");
    say(this.path, address);
    put(this.path, "title", address || null);
    say(this.phase, worker.own ? "this page" : worker.phase);
    say(this.client, worker.client);
  }

  /** @param {Worker} worker */
  #showDoing(worker) {
    say(this.doing, worker.doing);
    say(this.place, worker.place);
    put(this.place, "title", worker.place || null);
    say(this.unmoved, standsStill(worker) ? `has not moved for ${duration(worker.unmoved_for)}` : "");
    say(this.cpu, worker.cpu_share === null ? (worker.status === "idle" ? "" : NOTHING) : percent(worker.cpu_share));
    const width = `${Math.round((worker.cpu_share ?? 0) * 100)}%`;
    if (this.gauge.style.inlineSize !== width) {
      this.gauge.style.inlineSize = width;
    }
  }

  /** Unfold, and bring into sight. */
  open() {
    this.#unfold(true);
    this.node.scrollIntoView({ block: "center" });
    this.toggle.focus({ preventScroll: true });
  }

  /** @param {boolean} unfolded */
  #unfold(unfolded) {
    put(this.toggle, "aria-expanded", String(unfolded));
    this.node.classList.toggle("unfolded", unfolded);
    if (!unfolded) {
      this.detail?.node.remove();
      this.detail = null;
    } else if (this.detail === null && this.worker !== null) {
      this.detail = new Detail(this.row.cells.length, this.worker.worker);
      this.detail.show(this.worker, this.stack);
      this.node.append(this.detail.node);
      put(this.toggle, "aria-controls", this.detail.node.id);
    }
  }
}

/**
 * @param {string} className
 * @param {string} label its column's name, for narrow screens
 * @param {...Node} children
 */
function cell(className, label, ...children) {
  return named(make("td", className), label, ...children);
}

/**
 * @param {HTMLTableCellElement} made
 * @param {string} label
 * @param {...Node} children
 */
function named(made, label, ...children) {
  put(made, "role", made.scope === "row" ? "rowheader" : "cell");
  made.dataset.label = label;
  made.append(...children);
  return made;
}
