/**
 * A sampled flame graph of the running pool: begun here, drawn by the server, shown as a picture.
 */
import { post } from "./answers.js";
import { make, put, reveal, say, takeOver } from "./dom.js";
import { duration, number, percent } from "./words.js";

/**
 * @param {(answer: import("./answers.js").Answer) => void} tell
 * @param {() => void} hurry
 * @returns {import("./types.js").View}
 */
export function flame(tell, hurry) {
  const body = takeOver("flame");
  const buttons = make("span", "buttons");
  const progress = make("progress");
  const said = make("p", "soft");
  const image = make("img");
  const link = make("a", "graph", image);
  link.href = "flame.svg";
  link.target = "_blank";
  link.rel = "noopener";
  body.append(make("p", "tools", make("span", "", "Sample every worker for"), buttons, progress), said, link);
  progress.setAttribute("aria-label", "sampling");
  let shown = "";
  let finished = 0;

  return {
    show({ flame: now, actions }) {
      if (buttons.childElementCount !== now.choices.length) {
        buttons.replaceChildren(...now.choices.map(choice));
      }
      for (const button of buttons.querySelectorAll("button")) {
        button.disabled = now.running || !actions.flame;
      }
      reveal(progress, now.running);
      if (now.running) {
        progress.max = now.seconds;
        progress.value = now.seconds - now.left;
      }
      say(said, sentence(now));
      reveal(link, now.ready);
      picture(now);
    },
  };

  /** @param {number} seconds */
  function choice(seconds) {
    const button = make("button", "", `${seconds}\u202fs`);
    button.type = "button";
    button.addEventListener("click", async () => {
      const answer = await post("flame", { seconds: String(seconds) });
      if (!answer.ok) {
        tell(answer);
      }
      hurry();
    });
    return button;
  }

  /** @param {import("./types.js").Flame} now */
  function picture(now) {
    if (!now.ready) {
      return;
    }
    const at = Date.now() / 1000 - (now.finished_ago ?? 0);
    if (now.title !== shown || Math.abs(at - finished) > 3) {
      shown = now.title;
      finished = at;
      image.src = `flame.svg?at=${Math.round(at)}`;
      put(image, "alt", `Flame graph: ${now.title}. Open it to read the names of the calls.`);
    }
  }
}

/** @param {import("./types.js").Flame} now */
function sentence(now) {
  if (now.running) {
    return `Sampling: ${duration(now.left)} left, ${number(now.samples)} samples so far.`;
  }
  const cost = now.cost_share === null ? "" : ` Sampling took ${percent(now.cost_share)} of a processor.`;
  const nothing = "Which calls the time goes to, over all workers.";
  return now.ready ? `${now.title}, ${duration(now.finished_ago)} ago.${cost}` : nothing;
}
