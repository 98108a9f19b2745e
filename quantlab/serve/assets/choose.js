"use strict";
// The list of runs: how many are chosen, and no comparison of fewer than two.
const compareButton = document.getElementById("compare");
if (compareButton) {
  const boxes = Array.from(document.querySelectorAll("input[name=run]"));
  const said = document.getElementById("chosen");
  const count = () => {
    const runs = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    compareButton.disabled = runs.size < 2;
    said.textContent = runs.size < 2 ? "Choose two or more." : `${runs.size} runs chosen.`;
  };
  // A run with several models has a box in each of their rows; they are one choice.
  const follow = (changed) => {
    for (const box of boxes) if (box.value === changed.value) box.checked = changed.checked;
    count();
  };
  boxes.forEach((box) => box.addEventListener("change", () => follow(box)));
  addEventListener("pageshow", count);
  count();
}
