"use strict";
// The theme that was chosen holds on every page; it is set before anything is drawn.
try {
  const chosen = localStorage.getItem("quantlab-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch (refused) { /* a browser that keeps nothing follows the system */ }
addEventListener("DOMContentLoaded", () => {
  document.getElementById("theme").addEventListener("click", () => {
    try {
      localStorage.setItem("quantlab-theme", document.documentElement.dataset.theme);
    } catch (refused) { /* as above */ }
  });
});
