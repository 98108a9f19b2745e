"use strict";
function draw(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Histograms: magnitudes in bins of one width, `positive` from 0 up and `negative` from 0 down.
const histograms = JSON.parse(document.getElementById("data").textContent).histograms;
const dialog = document.getElementById("histogram");
const logBox = document.getElementById("histogram-log");
const HEIGHT = 300, FOOT = 24;
let current = null;

function text(value) { return Number(value.toPrecision(4)).toString(); }

function binsOf(seen) {
  const below = seen.negative.map((count, k) => [-(k + 1) * seen.width, -k * seen.width, count]).reverse();
  return below.concat(seen.positive.map((count, k) => [k * seen.width, (k + 1) * seen.width, count]));
}

function clipped(seen, low, high) {
  let outside = 0;
  for (const [from, to, count] of binsOf(seen)) {
    const inside = Math.max(0, Math.min(to, high) - Math.max(from, low));
    outside += count * (1 - inside / (to - from));
  }
  return outside / seen.count;
}

function plot(seen, ranges, wide) {
  const bins = binsOf(seen);
  const first = bins.length ? bins[0][0] : -1, last = bins.length ? bins[bins.length - 1][1] : 1;
  const margin = 0.03 * (last - first), low = first - margin, high = last + margin;
  const x = (value) => ((value - low) / (high - low)) * wide;
  const size = (count) => (logBox.checked ? Math.log10(1 + count) : count);
  const top = Math.max(1e-9, ...bins.map((bin) => size(bin[2])));
  const svg = draw("svg", { viewBox: `0 0 ${wide} ${HEIGHT + FOOT}`, role: "img" });
  svg.setAttribute("aria-label", "Histogram of the values seen; the table below tells the ranges");
  for (const [from, to, count] of bins) {
    const height = (size(count) / top) * (HEIGHT - 10);
    const width = Math.max(0.5, x(to) - x(from) - 0.5);
    const bar = draw("rect", { x: x(from), y: HEIGHT - height, width, height, class: "bin" });
    bar.append(draw("title", {}, `${text(from)} to ${text(to)}: ${count}`));
    svg.append(bar);
  }
  for (const [value, anchor] of [[first, "start"], [0, "middle"], [last, "end"]]) {
    if (value === 0 && (x(0) < 90 || x(0) > wide - 90) && first !== 0 && last !== 0) continue;
    if (value === 0 && anchor === "middle" && (first === 0 || last === 0)) continue;
    svg.append(draw("text", { x: x(value), y: HEIGHT + 18, "text-anchor": anchor }, text(value)));
  }
  ranges.forEach(([name, bounds], index) => {
    for (const bound of bounds) {
      if (bound < low || bound > high) continue;
      const line = draw("line", { x1: x(bound), x2: x(bound), y1: 0, y2: HEIGHT, class: `line c${index % 4}` });
      line.append(draw("title", {}, `${name}: ${text(bound)}`));
      svg.append(line);
    }
  });
  return svg;
}

function rangeRow(seen, name, bounds, index, isChosen) {
  const row = make("tr", isChosen ? { class: "chosen" } : {});
  const head = make("th", { scope: "row" });
  const sample = draw("svg", { viewBox: "0 0 34 4", class: "key", "aria-hidden": "true" });
  sample.append(draw("line", { x1: 0, x2: 34, y1: 2, y2: 2, class: `line c${index % 4}` }));
  sample.style.width = "34px";
  sample.style.display = "inline-block";
  head.append(sample, isChosen ? `${name} (this run)` : name);
  const share = `${(100 * clipped(seen, bounds[0], bounds[1])).toFixed(3)} %`;
  row.append(head, ...[text(bounds[0]), text(bounds[1]), share].map((value) => make("td", { class: "number" }, value)));
  return row;
}

function show() {
  const seen = histograms.tensors[current.tensor];
  const ranges = Object.entries((histograms.ranges[current.target] || {})[current.tensor] || {});
  document.getElementById("histogram-title").textContent = `${current.tensor} (${current.target})`;
  document.getElementById("histogram-note").textContent =
    `${seen.count} values seen; ${((100 * seen.zeros) / Math.max(1, seen.count)).toFixed(1)} % are exactly 0 and not drawn.`;
  const place = document.getElementById("histogram-plot");
  place.replaceChildren(plot(seen, ranges, place.clientWidth || 800)); // a unit is a pixel: texts keep their size
  document.getElementById("histogram-ranges").replaceChildren(
    ...ranges.map(([name, bounds], index) => rangeRow(seen, name, bounds, index, name === histograms.calibrator)));
}

for (const button of document.querySelectorAll("button.draws")) {
  button.setAttribute("aria-haspopup", "dialog");
  button.addEventListener("click", () => {
    current = { tensor: button.dataset.tensor, target: button.dataset.target };
    dialog.showModal();
    show();
  });
}
logBox.addEventListener("change", show);
