"use strict";
// A tensor's histogram, every calibrator's range on it, and what any other range would cost.
//
//   scale, zero point   as encoding_from_range of affine.py makes them from [low, high]
//   error of a value x  (x - clip(round(x / scale) + zero, lowest, highest) as a value)^2
//
// Within a bin values are taken as spread evenly. Over the grid of the integers the squared error of rounding then
// integrates to k scale^3 / 12 + r^3 / 3 with k = round(x / scale), r = x - k scale; what lies beyond the last integer
// is clipped, (x - bound)^2. Exact zeros have no error.

const SMALLEST_SCALE = 1.1754943508222875e-38;

function roundHalfEven(value) {
  const down = Math.floor(value), rest = value - down;
  if (rest !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

function encode(low, high, form) {
  const [lowest, highest] = form.integers;
  const from = Math.min(low, 0), to = Math.max(high, 0);
  const exact = form.symmetric ? Math.max(-from, to) / highest : (to - from) / (highest - lowest);
  const scale = exact === 0 ? 1 : Math.fround(Math.max(exact, SMALLEST_SCALE));
  const zero = form.symmetric ? 0 : Math.min(highest, Math.max(lowest, roundHalfEven(lowest - from / scale)));
  return { scale, zero, low: (lowest - zero) * scale, high: (highest - zero) * scale };
}

function binsOf(seen) {
  const below = seen.negative.map((count, k) => [-(k + 1) * seen.width, -k * seen.width, count]).reverse();
  return below.concat(seen.positive.map((count, k) => [k * seen.width, (k + 1) * seen.width, count]));
}

function roundingIntegral(x, scale) {
  const k = Math.round(x / scale), rest = x - k * scale;
  return (k * scale ** 3) / 12 + rest ** 3 / 3;
}

// Root mean squares over all values seen, zeros included; `share` is of values beyond the last integer's half step.
function costOf(bins, count, encoding) {
  const { scale, low, high } = encoding;
  let rounding = 0, clipping = 0, power = 0, outside = 0;
  for (const [from, to, number] of bins) {
    if (!number) continue;
    const density = number / (to - from);
    const inner = [Math.max(from, low), Math.min(to, high)];
    if (inner[1] > inner[0]) rounding += density * (roundingIntegral(inner[1], scale) - roundingIntegral(inner[0], scale));
    if (to > high) clipping += (density * ((to - high) ** 3 - Math.max(0, from - high) ** 3)) / 3;
    if (from < low) clipping += (density * ((low - from) ** 3 - Math.max(0, low - to) ** 3)) / 3;
    outside += density * Math.max(0, to - Math.max(from, high + scale / 2));
    outside += density * Math.max(0, Math.min(to, low - scale / 2) - from);
    power += (density * (to ** 3 - from ** 3)) / 3;
  }
  const noise = rounding + clipping;
  return {
    rounding: Math.sqrt(rounding / count), clipping: Math.sqrt(clipping / count), share: outside / count,
    sqnr: noise > 0 && power > 0 ? 10 * Math.log10(power / noise) : null,
  };
}

const explorer = document.getElementById("explorer");
const histograms = DATA.histograms;
const part = Object.fromEntries(["target", "tensor", "log", "low", "high", "low-said", "high-said", "said", "note", "ranges", "low-row", "back"]
  .map((name) => [name, document.getElementById(`explorer-${name}`)]));
const places = Array.from(explorer.querySelectorAll(".place"));
const STEPS = 1000;
let chosen = null, cameFrom = null;

function formOf(target, tensor) { return DATA.forms[target][tensor]; }

function tensorsOf(target) { return Object.keys(histograms.ranges[target] || {}).filter((name) => histograms.tensors[name] && formOf(target, name)); }

function fillTensors(wanted) {
  const names = tensorsOf(part.target.value);
  part.tensor.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  part.tensor.value = names.includes(wanted) ? wanted : names[0];
}

function choose() {
  const target = part.target.value, tensor = part.tensor.value, seen = histograms.tensors[tensor];
  const form = formOf(target, tensor), bins = binsOf(seen);
  const ends = bins.length ? [Math.min(0, bins[0][0]), Math.max(0, bins[bins.length - 1][1])] : [-1, 1];
  const ranges = Object.entries((histograms.ranges[target] || {})[tensor] || {});
  const costs = ranges.map(([, [low, high]]) => costOf(bins, Math.max(1, seen.count), reached(low, high, form)));
  const top = form.symmetric ? Math.max(-ends[0], ends[1]) : ends[1];
  chosen = { target, tensor, seen, form, bins, ends, ranges, costs, top, bottom: ends[0] };
  part["low-row"].hidden = form.symmetric || ends[0] >= 0;
  part.high.disabled = top <= 0;
  part.note.textContent = `${seen.count.toLocaleString("en")} values seen; ` +
    `${((100 * seen.zeros) / Math.max(1, seen.count)).toFixed(1)} % of them exactly 0, not drawn. ${form.scheme}.`;
  fillRanges();
  const own = ranges.find(([name]) => name === histograms.calibrator) || ranges[0];
  setRange(own ? own[1] : ends);
}

// The bounds in the report are what the integers reach; a symmetric scheme may reach one step further down.
function reached(low, high, form) {
  return form.symmetric ? encode(-high, high, form) : encode(low, high, form);
}

function setRange([low, high]) {
  part.high.value = chosen.top > 0 ? Math.min(STEPS, Math.max(1, Math.round((STEPS * high) / chosen.top))) : STEPS;
  part.low.value = chosen.bottom < 0 ? Math.min(STEPS, Math.max(0, Math.round((STEPS * low) / chosen.bottom))) : 0;
  chosen.exact = [low, high];
  tell();
}

function sliderRange() {
  const high = (chosen.top * Number(part.high.value)) / STEPS, low = (chosen.bottom * Number(part.low.value)) / STEPS;
  return chosen.form.symmetric ? [-high, high] : [low, high];
}

function percent(share) { return `${(100 * share).toFixed(3)} %`; }
function decibels(value) { return value === null ? "no noise" : `${value.toFixed(1)} dB`; }

function tell() {
  const [low, high] = chosen.exact, encoding = reached(low, high, chosen.form);
  const cost = costOf(chosen.bins, Math.max(1, chosen.seen.count), encoding);
  chosen.encoding = encoding;
  part["high-said"].textContent = short(high);
  part["low-said"].textContent = short(low);
  part.high.setAttribute("aria-valuetext", `${short(high)}, clipped ${percent(cost.share)}, ${decibels(cost.sqnr)}`);
  part.low.setAttribute("aria-valuetext", `${short(low)}, clipped ${percent(cost.share)}, ${decibels(cost.sqnr)}`);
  const told = {
    "integers reach": `${short(encoding.low)} to ${short(encoding.high)}`, scale: short(encoding.scale), "zero point": String(encoding.zero),
    clipped: percent(cost.share), "clipping error": short(cost.clipping), "rounding error": short(cost.rounding), SQNR: decibels(cost.sqnr),
  };
  part.said.replaceChildren(...Object.entries(told).map(([name, value]) => {
    const pair = make("div");
    pair.append(make("dt", {}, name), make("dd", {}, value));
    return pair;
  }));
  part.said.dataset.cost = JSON.stringify({ ...cost, ...encoding });
  drawExplorer();
}

function fillRanges() {
  part.ranges.replaceChildren(...chosen.ranges.map(([name, [low, high]], index) => {
    const cost = chosen.costs[index], isOwn = name === histograms.calibrator;
    const row = make("tr", isOwn ? { class: "chosen" } : {}), head = make("th", { scope: "row" });
    const key = make("span", { class: `key c${index % 4}`, "aria-hidden": "true" });
    const use = make("button", { type: "button", class: "draws" }, isOwn ? `${name} (this run)` : name);
    use.setAttribute("aria-label", `Set the range to that of ${name}`);
    use.addEventListener("click", () => setRange([low, high]));
    head.append(key, use);
    const cells = [short(low), short(high), percent(cost.share), short(cost.clipping), short(cost.rounding), decibels(cost.sqnr)];
    row.append(head, ...cells.map((text) => make("td", { class: "number" }, text)));
    return row;
  }));
}

function upright(u, value, style, dash, width) {
  const { ctx } = u, x = u.valToPos(value, "x", true);
  if (x < u.bbox.left - 1 || x > u.bbox.left + u.bbox.width + 1) return;
  ctx.save();
  ctx.strokeStyle = style;
  ctx.lineWidth = width * devicePixelRatio;
  ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(x, u.bbox.top);
  ctx.lineTo(x, u.bbox.top + u.bbox.height);
  ctx.stroke();
  ctx.restore();
}

function drawCounts(place) {
  const { bins, ends, encoding, ranges } = chosen, isLog = part.log.checked;
  const edges = bins.map((bin) => bin[0]).concat(bins.length ? [ends[1]] : []);
  const size = (count) => (isLog ? Math.log10(1 + count) : count);
  const heights = bins.map((bin) => size(bin[2])).concat(bins.length ? [0] : []);
  const margin = 0.02 * (ends[1] - ends[0]), count = (v) => (isLog ? Math.round(10 ** v - 1) : v);
  const veil = (u) => {
    const { ctx } = u, left = u.valToPos(Math.max(ends[0] - margin, encoding.low), "x", true);
    const right = u.valToPos(Math.min(ends[1] + margin, encoding.high), "x", true), { bbox } = u;
    ctx.save();
    ctx.globalAlpha = 0.13;
    ctx.fillStyle = colour("bad");
    ctx.fillRect(bbox.left, bbox.top, Math.max(0, left - bbox.left), bbox.height);
    ctx.fillRect(right, bbox.top, Math.max(0, bbox.left + bbox.width - right), bbox.height);
    ctx.restore();
  };
  const lines = (u) => ranges.forEach(([, bounds], index) => bounds.forEach(
    (bound) => upright(u, bound, seriesColour(index), DASHES[index % 4], 1.5)));
  chart(place, 260, [edges, heights], {
    scales: { x: { time: false, range: () => [ends[0] - margin, ends[1] + margin] }, y: { range: (u, low, high) => [0, Math.max(1e-9, high * 1.04)] } },
    axes: [axis({ size: 30 }), axis({ size: 64, values: (u, ticks) => ticks.map((tick) => (isLog && tick % 1 ? "" : short(isLog ? 10 ** tick : tick))), filter: (u, ticks) => ticks })],
    series: [
      { label: "from", value: (u, value) => short(value) },
      { label: "values", stroke: colour("bars"), fill: colour("bars"), width: 1, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, value: (u, value) => (value === null || value === undefined ? "–" : short(count(value))) },
    ],
    hooks: { drawClear: [veil], draw: [lines] },
  });
}

// What every threshold costs: the range shrinks towards 0 by the same share on both sides.
function drawErrors(place) {
  const { bins, seen, form, bottom, top, ranges, encoding } = chosen, reach = top > 0 ? top : -bottom;
  const shares = Array.from({ length: 120 }, (_, k) => (k + 1) / 120);
  const costs = shares.map((share) => costOf(bins, Math.max(1, seen.count), encode(form.symmetric ? -share * reach : share * bottom, share * top, form)));
  const log = (value) => (value > 0 ? Math.log10(value) : null);
  const total = costs.map((cost) => log(Math.hypot(cost.rounding, cost.clipping)));
  const floor = Math.min(...total.filter((value) => value !== null)) - 1.2;
  const above = (value) => (value === null || value < floor ? null : value);
  const data = [shares.map((share) => share * reach), costs.map((cost) => above(log(cost.rounding))), costs.map((cost) => above(log(cost.clipping))), total];
  const form10 = (v) => (v === null || v === undefined ? "–" : short(10 ** v));
  const marks = (u) => {
    ranges.forEach(([, bounds], index) => upright(u, top > 0 ? bounds[1] : -bounds[0], seriesColour(index), DASHES[index % 4], 1.5));
    upright(u, top > 0 ? encoding.high : -encoding.low, colour("ink"), [], 1);
  };
  chart(place, 200, data, {
    scales: { x: { time: false, range: () => [0, reach * 1.02] } },
    axes: [axis({ size: 36, label: top > 0 ? "upper bound" : "lower bound, without its sign", labelSize: 18 }), axis({ size: 64, values: (u, ticks) => ticks.map((t) => short(10 ** t)) })],
    series: [
      { label: "bound", value: (u, value) => short(value) },
      { label: "rounding", stroke: colour("c0"), width: 1.5, points: { show: false }, value: (u, v) => form10(v) },
      { label: "clipping", stroke: colour("bad"), width: 1.5, dash: [6, 3], points: { show: false }, value: (u, v) => form10(v) },
      { label: "both", stroke: colour("ink"), width: 2, points: { show: false }, value: (u, v) => form10(v) },
    ],
    hooks: { draw: [marks] },
  });
}

function drawExplorer() {
  [drawCounts, drawErrors].forEach((draw, index) => {
    places[index].replaceChildren();
    draw(places[index]);
  });
}

for (const target of Object.keys(histograms.ranges).filter((name) => tensorsOf(name).length)) {
  part.target.append(make("option", { value: target }, target));
}
if (part.target.options.length) {
  explorer.hidden = false;
  part.target.closest("label").hidden = part.target.options.length < 2;
  fillTensors();
  choose();
  drawn.set(explorer, drawExplorer);
}
part.target.addEventListener("change", () => { fillTensors(part.tensor.value); choose(); });
part.tensor.addEventListener("change", choose);
part.log.addEventListener("change", drawExplorer);
for (const slider of [part.low, part.high]) {
  slider.addEventListener("input", () => { chosen.exact = sliderRange(); tell(); });
}
for (const button of document.querySelectorAll("button.draws[data-tensor]")) {
  button.addEventListener("click", () => {
    cameFrom = button;
    part.target.value = button.dataset.target;
    fillTensors(button.dataset.tensor);
    choose();
    part.back.hidden = false;
    explorer.scrollIntoView({ block: "start" });
    part.tensor.focus({ preventScroll: true });
  });
}
part.back.addEventListener("click", () => {
  part.back.hidden = true;
  if (cameFrom) { cameFrom.scrollIntoView({ block: "center" }); cameFrom.focus({ preventScroll: true }); }
});
