/* Puts the reader's own choice of light or dark on the root element before anything is drawn, so nothing flashes. */
(function () {
  "use strict";
  try {
    const chosen = localStorage.getItem("pastepool-theme");
    if (chosen === "light" || chosen === "dark") {
      document.documentElement.dataset.theme = chosen;
    }
  } catch {
    // Storage is forbidden here: the system's scheme stands.
  }
  document.documentElement.classList.add("scripted");
})();
