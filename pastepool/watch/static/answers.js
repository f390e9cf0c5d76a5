/**
 * Sends what somebody asked for, and says what came of it where eyes and screen readers find it.
 */
import { make, put, say } from "./dom.js";
import { duration, labelOf } from "./words.js";

/** @typedef {import("./types.js").View} View */
/** @typedef {import("./types.js").Worker} Worker */
/** @typedef {{ok: boolean, outcome: string, text: string}} Answer */
/** @typedef {"good"|"waiting"|"bad"} Mood */

/** The outcomes of a kill that has not ended its request, or not yet. */
const UNFINISHED = new Set(["dying", "pending"]);

const PATIENCE = 30_000; // milliseconds; a kill answers when it knows

/** @returns {string} */
const csrf = () => document.querySelector('meta[name="pastepool-csrf"]')?.getAttribute("content") ?? "";

/**
 * Ask for an action.
 *
 * @param {string} name `kill`, `dump`, `reset`, `flame`
 * @param {Record<string, string>} fields
 * @returns {Promise<Answer>} never fails: what went wrong is the answer
 */
export async function post(name, fields = {}) {
  try {
    const response = await fetch(`api/v1/${name}`, {
      method: "POST",
      headers: { Accept: "application/json", "X-Pastepool-CSRF": csrf() },
      body: new URLSearchParams({ ...fields, csrf: csrf() }),
      signal: AbortSignal.timeout(PATIENCE),
    });
    const answer = await response.json();
    return { ok: response.ok, outcome: String(answer.outcome), text: String(answer.text) };
  } catch {
    return { ok: false, outcome: "unreachable", text: "The server did not answer; nobody knows whether it was done." };
  }
}

/**
 * What has become of a kill that was asked for and had not ended the request when it was answered.
 *
 * @param {import("./types.js").State} state
 * @param {Worker} aim as it was seen when the kill was asked for
 * @param {Answer} answer
 * @returns {{mood: Mood, text: string, over: boolean}}
 */
function fate(state, aim, answer) {
  const now = state.workers.find(({ worker, serial }) => worker === aim.worker && serial === aim.serial);
  if (now?.status === "zombie") {
    const since = `was told to end ${duration(now.for)} ago and still runs: it counts as a zombie`;
    return { mood: "bad", text: `Not killed: ${aim.title} on worker ${labelOf(aim)} ${since}.`, over: false };
  }
  if (now?.status === "dying") {
    const since = `was told to end ${duration(now.for)} ago and has not ended yet`;
    return { mood: "waiting", text: `${aim.title} on worker ${labelOf(aim)} ${since}.`, over: false };
  }
  if (now !== undefined) {
    return { mood: "waiting", text: answer.text, over: false };
  }
  const killed = state.events.some((event) => event.kind === "killed" && event.serial === aim.serial);
  const text = `${aim.title} on worker ${labelOf(aim)} has ended`;
  return killed || answer.outcome === "dying"
    ? { mood: "good", text: `Killed: ${text}.`, over: true }
    : { mood: "bad", text: `Not killed: ${text} by itself.`, over: true };
}

/**
 * Where answers appear: a line at the bottom of the window that stays until it is closed or replaced. After a kill that
 * has not ended its request yet, the line follows the request until it ends.
 *
 * @returns {View & {node: HTMLElement, tell: (answer: Answer, aim?: Worker) => void}}
 */
export function answers() {
  /** @type {{aim: Worker, answer: Answer}|null} */
  let followed = null;
  const text = make("p");
  const close = make("button", "quiet", "Close");
  close.type = "button";
  const box = make("div", "box", text, close);
  const node = make("div", "toast", box);
  put(node, "role", "status");
  box.hidden = true;
  close.addEventListener("click", () => {
    box.hidden = true;
    followed = null;
  });
  return {
    node,
    tell(answer, aim) {
      const unknown = UNFINISHED.has(answer.outcome);
      followed = unknown && aim !== undefined ? { aim, answer } : null;
      box.hidden = false;
      paint(unknown ? "waiting" : answer.ok ? "good" : "bad");
      say(text, answer.text);
    },
    show(state) {
      if (followed !== null) {
        const { mood, text: sentence, over } = fate(state, followed.aim, followed.answer);
        paint(mood);
        say(text, sentence);
        followed = over ? null : followed;
      }
    },
  };

  /** @param {Mood} mood */
  function paint(mood) {
    box.classList.toggle("bad", mood === "bad");
    box.classList.toggle("waiting", mood === "waiting");
  }
}
