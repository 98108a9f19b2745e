"use strict";
// What every page shares: making elements, whose texts are only ever set as text, and the theme.

function make(tag, attributes, text) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Theme: what the system prefers, until the button says otherwise.
const themeButton = document.getElementById("theme");
const root = document.documentElement;
function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
function nameTheme() { themeButton.textContent = isDark() ? "Light theme" : "Dark theme"; }
themeButton.hidden = false;
function changed() { nameTheme(); document.dispatchEvent(new Event("theme")); }
themeButton.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; changed(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
nameTheme();
