/**
 * Puts the page together: takes the sections over from the server's rendering, feeds them the state, and passes on what
 * the reader does. Without this script the page is complete, but stands still.
 */
import { announcer } from "./announce.js";
import { answers } from "./answers.js";
import { backlog } from "./backlog.js";
import { say, takeOver } from "./dom.js";
import { events } from "./events.js";
import { Feed } from "./feed.js";
import { flame } from "./flame.js";
import { killDialog } from "./kill.js";
import { latency } from "./latency.js";
import { facts, settings } from "./process.js";
import { processes } from "./processes.js";
import { series } from "./series.js";
import { slowest } from "./slowest.js";
import { stacks } from "./stacks.js";
import { STUCK } from "./status.js";
import { strip } from "./strip.js";
import { freshness, toolbar } from "./topbar.js";
import { workers } from "./workers.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Status} Status */

/**
 * @param {string} name
 * @returns {string}
 */
const meta = (name) => document.querySelector(`meta[name="pastepool-${name}"]`)?.getAttribute("content") ?? "";

class Page {
  constructor() {
    /** @type {import("./types.js").View[]} */
    this.views = [];
    /** @type {State|null} */
    this.latest = null;
    /** @type {Status|null} */
    this.chosen = null;
    this.process = "";
    this.uptime = 0;
    this.due = false;
    this.feed = new Feed({
      stream: meta("stream") === "true",
      every: Number(meta("poll-every")) || 1,
      onState: (state) => this.#take(state),
      onTrouble: (trouble) => this.#trouble(trouble),
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) {
        this.feed.hurry();
        this.#schedule();
      }
    });
  }

  start() {
    this.feed.resume();
  }

  /** Take the page over, once there is something to put in the place of what the server wrote. */
  #build() {
    const answer = answers();
    /**
     * @param {import("./answers.js").Answer} said
     * @param {import("./types.js").Worker} [aim]
     */
    const tell = (said, aim) => {
      answer.tell(said, aim);
      this.feed.hurry();
    };
    const hurry = () => this.feed.hurry();
    const ask = killDialog(tell);
    const live = announcer();
    const table = workers((worker) => ask.ask(worker));
    const pool = strip((status) => {
      this.chosen = this.chosen === status ? null : status;
      pool.mark(this.chosen);
      table.only(this.chosen);
    });
    const reveal = (/** @type {number} */ worker) => {
      this.chosen = null;
      pool.mark(null);
      table.only(null);
      table.reveal(worker);
    };
    this.fresh = freshness();
    const bar = toolbar({ onPause: (paused) => this.#pause(paused), tell, hurry });
    const seen = [series(), stacks(reveal), latency(), backlog(), events(), slowest(), facts(), settings()];
    this.views = [this.fresh, bar, note(), pool, processes(), table, ...seen, flame(tell, hurry), ask, answer, live];
    document.body.append(answer.node, ask.node, live.node);
  }

  /** @param {State} state */
  #take(state) {
    const process = `${state.process.pid} ${state.process.host}`;
    if (this.latest !== null && (process !== this.process || (state.process.uptime ?? 0) < this.uptime)) {
      // Another process, whose actions want another proof that we are its page.
      location.reload();
      return;
    }
    this.process = process;
    this.uptime = state.process.uptime ?? 0;
    this.latest = state;
    title(state);
    this.#schedule();
  }

  #schedule() {
    if (!this.due && !document.hidden && this.latest !== null) {
      this.due = true;
      requestAnimationFrame(() => this.#draw());
    }
  }

  #draw() {
    this.due = false;
    if (this.latest === null) {
      return;
    }
    performance.clearMeasures("pastepool");
    const began = performance.now();
    if (this.views.length === 0) {
      this.#build();
    }
    document.body.dataset.kind = this.latest.kind;
    for (const view of this.views) {
      view.show(this.latest);
    }
    if (this.feed.mode !== "paused") {
      this.fresh?.mood("live", this.feed.mode === "stream" ? "streaming" : "live");
    }
    performance.measure("pastepool", { start: began });
  }

  /** @param {boolean} paused */
  #pause(paused) {
    if (paused) {
      this.feed.pause();
      this.fresh?.mood("paused", "paused at");
    } else {
      this.feed.resume();
    }
  }

  /** @param {import("./feed.js").Trouble} trouble */
  #trouble(trouble) {
    if (trouble.kind === "unauthorised") {
      location.reload();
      return;
    }
    this.fresh?.mood("lost", `${trouble.text}; this was`);
    document.title = `? ${document.title.replace(/^\? /, "")}`;
  }
}

/** @returns {import("./types.js").View} */
function note() {
  const body = takeOver("note");
  return {
    show(state) {
      say(body, state.note);
    },
  };
}

/** @param {State} state */
function title(state) {
  const { counts } = state.pool;
  const stuck = [...STUCK].filter((status) => counts[status] > 0).map((status) => `${counts[status]} ${status}`);
  const alarm = stuck.length > 0 ? `${stuck.join(", ")} - ` : "";
  const text = `${alarm}watch_threads${state.process.host ? ` on ${state.process.host}` : ""}`;
  if (document.title !== text) {
    document.title = text;
  }
  const icon = document.getElementById("icon");
  const wanted = stuck.length > 0 ? "static/icon-hung.svg" : "static/icon.svg";
  if (icon !== null && icon.getAttribute("href") !== wanted) {
    icon.setAttribute("href", wanted);
  }
}

new Page().start();
