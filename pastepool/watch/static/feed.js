/**
 * Brings the state, once a second: as server-sent events where they cost no worker, by asking again elsewhere and
 * wherever the events fail. Knows nothing of the page.
 */

/** @typedef {import("./types.js").State} State */

/**
 * @typedef {object} Trouble
 * @property {"unauthorised"|"unreachable"|"refused"} kind
 * @property {string} text
 */

const PATIENCE = 10_000; // milliseconds for one answer
const SLOWEST = 10_000; // milliseconds between two questions to a server that does not answer
const STREAM_AGAIN = 30_000; // milliseconds until events that failed are tried again
const HIDDEN = 5; // times slower while nobody looks at the tab

export class Feed {
  /**
   * @param {object} options
   * @param {boolean} options.stream whether the server streams
   * @param {number} options.every seconds between two questions otherwise
   * @param {(state: State) => void} options.onState
   * @param {(trouble: Trouble) => void} options.onTrouble
   */
  constructor({ stream, every, onState, onTrouble }) {
    this.streams = stream && "EventSource" in window;
    this.every = Math.max(0.25, every) * 1000;
    this.onState = onState;
    this.onTrouble = onTrouble;
    /** @type {"stream"|"poll"|"paused"} */
    this.mode = "paused";
    /** @type {EventSource|null} */
    this.source = null;
    this.failures = 0;
    this.timer = 0;
    this.streamAgainAt = 0;
    this.turn = 0;
  }

  /** Begin, or go on after a pause. */
  resume() {
    this.pause();
    if (this.streams) {
      this.#open();
    } else {
      this.mode = "poll";
      void this.#ask();
    }
  }

  /** Stop asking; what was asked already is thrown away. */
  pause() {
    this.turn += 1;
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.mode = "paused";
  }

  /** Look now rather than at the next turn, because somebody has just done something. */
  hurry() {
    if (this.mode === "poll") {
      this.turn += 1;
      clearTimeout(this.timer);
      void this.#ask();
    }
  }

  #open() {
    this.mode = "stream";
    const source = new EventSource("api/v1/events");
    this.source = source;
    const silence = () => this.#fallBack();
    this.timer = setTimeout(silence, PATIENCE);
    source.addEventListener("state", (event) => {
      clearTimeout(this.timer);
      this.timer = setTimeout(silence, PATIENCE);
      this.failures = 0;
      this.onState(JSON.parse(event.data));
    });
    source.addEventListener("error", silence);
  }

  #fallBack() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.mode = "poll";
    this.streamAgainAt = performance.now() + STREAM_AGAIN;
    void this.#ask();
  }

  async #ask() {
    const turn = this.turn;
    const answer = await this.#answer();
    if (turn !== this.turn || this.mode !== "poll") {
      return;
    }
    if (this.streams && this.failures === 0 && performance.now() >= this.streamAgainAt) {
      this.#open();
    } else {
      this.timer = setTimeout(() => void this.#ask(), this.#pauseBetween());
    }
    answer();
  }

  /** @returns {Promise<() => void>} what to tell the page */
  async #answer() {
    try {
      const response = await fetch("api/v1/state", {
        headers: { Accept: "application/json" },
        cache: "no-store",
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (response.ok) {
        const state = await response.json();
        this.failures = 0;
        return () => this.onState(state);
      }
      this.failures += 1;
      const kind = response.status === 401 ? "unauthorised" : "refused";
      return () => this.onTrouble({ kind, text: `the server answered ${response.status}` });
    } catch (error) {
      this.failures += 1;
      const late = error instanceof DOMException && error.name === "TimeoutError";
      const text = late ? `no answer within ${PATIENCE / 1000} s` : "the server does not answer";
      return () => this.onTrouble({ kind: "unreachable", text });
    }
  }

  #pauseBetween() {
    const every = document.hidden ? this.every * HIDDEN : this.every;
    return Math.min(Math.max(SLOWEST, every), every * 2 ** Math.min(this.failures, 10));
  }
}
