/**
 * The bar at the top: which process this is, how fresh the picture is, and what can be done to all of it.
 */
import { post } from "./answers.js";
import { make, put, reveal, say, takeOver } from "./dom.js";
import { clock, duration } from "./words.js";

/** @typedef {"live"|"paused"|"lost"} Mood */

/** @returns {import("./types.js").View & {mood: (mood: Mood, text: string) => void}} */
export function freshness() {
  const body = takeOver("taken");
  const where = make("span", "where");
  const lamp = make("span", "lamp");
  const text = make("span", "live", lamp, make("span", "mood"), " ", make("time"));
  const [, mood, time] = /** @type {HTMLElement[]} */ ([...text.children]);
  body.append(where, text);
  return {
    show(state) {
      const { process } = state;
      say(where, process.host ? `${process.host}, pid ${process.pid}, up ${duration(process.uptime)}` : "");
      say(time, clock(state.taken_at));
      /** @type {HTMLTimeElement} */ (time).dateTime = state.taken_at;
    },
    mood(name, said) {
      put(text, "class", `live ${name}`);
      say(mood, said);
    },
  };
}

/**
 * @param {object} handlers
 * @param {(paused: boolean) => void} handlers.onPause
 * @param {(answer: import("./answers.js").Answer) => void} handlers.tell
 * @param {() => void} handlers.hurry
 * @returns {import("./types.js").View}
 */
export function toolbar({ onPause, tell, hurry }) {
  const body = takeOver("actions");
  const pause = button("Pause", "");
  put(pause, "aria-pressed", "false");
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    put(pause, "aria-pressed", String(paused));
    say(pause, paused ? "Go on" : "Pause");
    onPause(paused);
  });
  const act = async (/** @type {string} */ name) => {
    tell(await post(name));
    hurry();
  };
  const dump = button("Dump stacks", "write the stack of every thread to the log");
  const reset = button("Reset counters", "set counters, histograms and the slowest requests back to nothing");
  dump.addEventListener("click", () => void act("dump"));
  reset.addEventListener("click", () => void act("reset"));
  const leave = logout();
  body.append(pause, dump, reset, themeButton(), leave);
  return {
    show({ actions, you }) {
      reveal(dump, actions.dump);
      reveal(reset, actions.reset);
      reveal(leave, you.logged_in);
    },
  };
}

/**
 * @param {string} text
 * @param {string} title
 */
function button(text, title) {
  const made = make("button", "", text);
  made.type = "button";
  made.title = title;
  return made;
}

function logout() {
  const token = make("input");
  token.type = "hidden";
  token.name = "csrf";
  token.value = document.querySelector('meta[name="pastepool-csrf"]')?.getAttribute("content") ?? "";
  const form = make("form", "", token, make("button", "", "Log out"));
  form.method = "post";
  form.action = "logout";
  return form;
}

/** Light, dark, or as the system has it. */
function themeButton() {
  const root = document.documentElement;
  const order = ["", "light", "dark"];
  const names = { "": "system", light: "light", dark: "dark" };
  const made = button("", "colours: as the system has it, light, or dark");
  const said = () => say(made, `Colours: ${names[/** @type {keyof typeof names} */ (root.dataset.theme ?? "")] ?? ""}`);
  made.addEventListener("click", () => {
    const next = order[(order.indexOf(root.dataset.theme ?? "") + 1) % order.length];
    if (next === "") {
      delete root.dataset.theme;
    } else {
      root.dataset.theme = next;
    }
    remember(next);
    said();
  });
  said();
  return made;
}

/** @param {string} theme */
function remember(theme) {
  try {
    localStorage.setItem("pastepool-theme", theme);
  } catch {
    // Storage is forbidden here: the choice lasts as long as the page.
  }
}
