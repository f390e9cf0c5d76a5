/**
 * Sends what somebody asked for, and says what came of it where eyes and screen readers find it.
 */
import { make, put, say } from "./dom.js";

/** @typedef {{ok: boolean, outcome: string, text: string}} Answer */

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
 * Where answers appear: a line at the bottom of the window that stays until it is closed or replaced.
 *
 * @returns {{node: HTMLElement, tell: (answer: Answer) => void}}
 */
export function answers() {
  const text = make("p");
  const close = make("button", "quiet", "Close");
  close.type = "button";
  const box = make("div", "box", text, close);
  const node = make("div", "toast", box);
  put(node, "role", "status");
  box.hidden = true;
  close.addEventListener("click", () => {
    box.hidden = true;
  });
  return {
    node,
    tell({ ok, text: sentence }) {
      box.hidden = false;
      box.classList.toggle("bad", !ok);
      say(text, sentence);
    },
  };
}
