/**
 * A button that copies a text, also on a page served without TLS to another machine, where the clipboard has no API.
 */
import { make, say } from "./dom.js";

const SAID_FOR = 1600; // milliseconds

/**
 * @param {() => string} text asked for at the click
 * @returns {HTMLButtonElement}
 */
export function copyButton(text) {
  const button = make("button", "quiet", "Copy");
  button.type = "button";
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    say(button, (await copy(text())) ? "Copied" : "Not allowed");
    setTimeout(() => say(button, "Copy"), SAID_FOR);
  });
  return button;
}

/**
 * @param {string} text
 * @returns {Promise<boolean>}
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyThroughSelection(text);
  }
}

/**
 * @param {string} text
 * @returns {boolean}
 */
function copyThroughSelection(text) {
  const area = make("textarea", "unseen");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
