/**
 * The question before a kill. It is about the request that was seen: whatever the thread runs by then is not touched.
 */
import { post } from "./answers.js";
import { make, reveal, say } from "./dom.js";
import { duration, labelOf } from "./words.js";

/** @typedef {import("./types.js").Worker} Worker */

/**
 * @param {(answer: import("./answers.js").Answer, aim: Worker) => void} tell
 * @returns {import("./types.js").View & {node: HTMLDialogElement, ask: (worker: Worker) => void}}
 */
export function killDialog(tell) {
  const title = make("h2", "", "Kill a request?");
  const request = make("p", "request");
  const about = make("p", "");
  const gone = make("p", "bad", "This request has ended in the meantime: there is nothing left to kill.");
  const cancel = make("button", "", "Let it run");
  const confirm = make("button", "danger", "Kill this request");
  const form = make("form", "", title, request, about, explanation(), gone, make("div", "buttons", cancel, confirm));
  const node = make("dialog", "ask", form);
  form.method = "dialog";
  title.id = "kill-title";
  node.setAttribute("aria-labelledby", title.id);
  cancel.type = "button";
  cancel.autofocus = true;
  /** @type {Worker|null} */
  let seen = null;

  cancel.addEventListener("click", () => node.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (seen !== null) {
      const aim = seen;
      node.close();
      const process = aim.pid === undefined ? {} : { slot: String(aim.slot), pid: String(aim.pid) };
      tell(await post("kill", { worker: String(aim.worker), serial: String(aim.serial), ...process }), aim);
    }
  });
  return {
    node,
    ask(worker) {
      seen = worker;
      say(title, `Kill the request of worker ${labelOf(worker)}?`);
      say(request, `${worker.title}${worker.query ? `?${worker.query}` : ""}`);
      describe(worker);
      alive(true);
      node.showModal();
    },
    show(state) {
      if (node.open && seen !== null) {
        const now = state.workers.find((worker) => worker.worker === seen?.worker && worker.serial === seen.serial);
        alive(now !== undefined);
        describe(now ?? seen);
      }
    },
  };

  /** @param {Worker} worker */
  function describe(worker) {
    const from = worker.client ? `From ${worker.client}, running` : "Running";
    const where = worker.place ? `, now in ${worker.place}` : "";
    say(about, `${from} for ${duration(worker.ran_for)}${where}${worker.doing ? `: ${worker.doing}` : ""}.`);
  }

  /** @param {boolean} there */
  function alive(there) {
    reveal(gone, !there);
    confirm.disabled = !there;
  }
}

function explanation() {
  const what = "An exception is raised inside the request: its finally blocks run, its client is answered 504";
  const then = "if nothing was sent, and another worker takes the place of this one.";
  return make("p", "soft", `${what} ${then} What the request had begun stays half done.`);
}
