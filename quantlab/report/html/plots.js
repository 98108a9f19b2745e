"use strict";
// Plots, drawn with uPlot from the data of the page. Colours come from the style sheet, so a change of theme redraws.

const DATA = JSON.parse(document.getElementById("data").textContent);
const drawn = new Map(); // figure → what draws it again

function colour(name) { return getComputedStyle(root).getPropertyValue(`--${name}`).trim(); }
function seriesColour(index) { return colour(`c${index % 4}`); }
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return Number(value.toPrecision(3)).toExponential().replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

function axis(more) {
  return {
    stroke: colour("quiet"), font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif",
    grid: { stroke: colour("rule"), width: 0.5 }, ticks: { stroke: colour("rule"), width: 1, size: 4 }, ...more,
  };
}

// A plot is as wide as its place, and keeps its height; `options` may say all else that uPlot knows.
function chart(place, height, data, options) {
  const width = Math.max(240, place.clientWidth);
  const made = new uPlot({
    width, height, cursor: { drag: { x: false, y: false }, points: { size: 6 } }, legend: { live: true }, ...options,
  }, data, place);
  return made;
}

function show(figure, draw) {
  const place = figure.querySelector(".place");
  const again = () => { place.replaceChildren(); draw(place); };
  drawn.set(figure, again);
  again();
}

function redraw() { for (const again of drawn.values()) again(); }
document.addEventListener("theme", redraw);
let waiting = 0, lastWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === lastWidth) return; // on a phone the bars of the browser come and go
  lastWidth = innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(redraw, 120);
});
// On paper colours are those of the light theme, and a plot is as wide as the page.
let themeBefore;
addEventListener("beforeprint", () => {
  themeBefore = root.dataset.theme;
  root.dataset.theme = "light";
  redraw();
});
addEventListener("afterprint", () => {
  if (themeBefore === undefined) delete root.dataset.theme; else root.dataset.theme = themeBefore;
  redraw();
});

// A name beside a point on the canvas, in the point's colour: at the first place within the plot that is free of points,
// of their intervals and of the names before; a box is [left, top, right, bottom].
function nameBeside(u, text, [x, y], style, taken) {
  const { ctx } = u, ratio = devicePixelRatio, { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.font = `${12 * ratio}px system-ui, sans-serif`;
  const wide = ctx.measureText(text).width, high = 14 * ratio, gap = 9 * ratio, places = [];
  for (const down of [0, -1, 1, -2, 2, -3, 3]) {
    for (const from of [x + gap, x - gap - wide, ...(down ? [x - wide / 2] : [])]) {
      const middle = y + 1.2 * high * down;
      places.push([from, middle - high / 2, from + wide, middle + high / 2]);
    }
  }
  const isFree = (box) => box[0] >= left && box[2] <= left + width && box[1] >= top && box[3] <= top + height
    && !taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]);
  const box = places.find(isFree) || places[0];
  ctx.fillStyle = style;
  [ctx.textAlign, ctx.textBaseline] = ["left", "middle"];
  ctx.fillText(text, box[0], (box[1] + box[3]) / 2);
  ctx.restore();
  taken.push(box);
}

// Latency: which share of the runs took at most so long.
function latencyPlot(place, timed) {
  const sorted = timed.map((one) => Float64Array.from(one.runs_ms).sort());
  const tables = sorted.map((times) => [Array.from(times), Array.from(times, (_, k) => (100 * (k + 1)) / times.length)]);
  const data = uPlot.join(tables.map(([x, y]) => {
    const last = new Map(x.map((value, k) => [value, y[k]])); // of equal times the last counts
    return [Array.from(last.keys()), Array.from(last.values())];
  }));
  const high = Math.max(...sorted.map((times) => times[Math.floor(0.98 * (times.length - 1))]));
  chart(place, 240, data, {
    scales: { x: { time: false, range: () => [0, high * 1.05] }, y: { range: () => [0, 103] } },
    axes: [axis({ label: "ms", labelSize: 18, size: 36 }), axis({ size: 48, values: (u, ticks) => ticks.map((t) => `${t} %`) })],
    series: [
      { label: "ms", value: (u, value) => short(value) },
      ...timed.map((one, index) => ({
        label: one.name, stroke: seriesColour(index), width: 2, dash: DASHES[index % 4], spanGaps: true,
        paths: uPlot.paths.stepped({ align: 1 }), points: { show: false },
        value: (u, value) => (value === null || value === undefined ? "–" : `${value.toFixed(0)} %`),
      })),
    ],
  });
}

// Accuracy against latency: a point per model with the interval of its accuracy.
function tradeoffPlot(place, models) {
  const order = models.map((_, k) => k).sort((one, two) => models[one].ms - models[two].ms);
  const data = [order.map((k) => models[k].ms), ...order.map((k, at) => order.map((_, j) => (j === at ? models[k].share : null)))];
  const lows = models.map((m) => m.interval ? m.interval[0] : m.share), highs = models.map((m) => m.interval ? m.interval[1] : m.share);
  const low = Math.min(...lows), high = Math.max(...highs), margin = Math.max(0.1, 0.15 * (high - low));
  const widest = Math.max(...models.map((m) => m.ms));
  const drawBars = (u) => {
    const { ctx } = u, ratio = devicePixelRatio;
    const spots = models.map((model) => [u.valToPos(model.ms, "x", true), u.valToPos(model.share, "y", true)]);
    const ends = models.map((_, k) => [highs[k], lows[k]].map((share) => u.valToPos(share, "y", true)));
    spots.forEach(([x], k) => {
      ctx.save();
      ctx.strokeStyle = seriesColour(k);
      ctx.lineWidth = 2 * ratio;
      ctx.beginPath();
      ctx.moveTo(x, ends[k][0]);
      ctx.lineTo(x, ends[k][1]);
      ctx.stroke();
      ctx.restore();
    });
    const taken = spots.flatMap(([x, y], k) => [
      [x - 6 * ratio, y - 6 * ratio, x + 6 * ratio, y + 6 * ratio], [x - ratio, ends[k][0], x + ratio, ends[k][1]],
    ]);
    spots.forEach((spot, k) => nameBeside(u, models[k].name, spot, seriesColour(k), taken));
  };
  chart(place, 260, data, {
    legend: { show: false },
    scales: { x: { time: false, range: () => [0, widest * 1.25] }, y: { range: () => [low - margin, high + margin] } },
    axes: [axis({ label: "median ms", labelSize: 18, size: 36 }), axis({ size: 60, values: (u, ticks) => ticks.map((t) => `${short(t)} %`) })],
    series: [{ label: "ms" }, ...order.map((k, at) => ({
      label: models[k].name, stroke: seriesColour(k), paths: () => null,
      points: { show: true, size: 10, fill: seriesColour(k) },
    }))],
    hooks: { draw: [drawBars] },
  });
}

// Noise: what is left of the signal, layer by layer.
function noisePlot(place, layers) {
  const data = [layers.map((_, k) => k), layers.map((layer) => layer.sqnr_db)];
  chart(place, 240, data, {
    scales: { x: { time: false, range: () => [-0.5, Math.max(1, layers.length - 0.5)] } },
    axes: [
      axis({ label: "layer, in order", labelSize: 18, size: 36, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] }),
      axis({ size: 66, values: (u, ticks) => ticks.map((t) => `${t} dB`) }),
    ],
    series: [
      { label: "layer", value: (u, value, s, at) => (at === null || !layers[at] ? "–" : layers[at].node) },
      { label: "SQNR", stroke: seriesColour(0), width: 1.5, points: { show: true, size: 5, fill: seriesColour(0) },
        value: (u, value) => (value === null || value === undefined ? "–" : `${value.toFixed(1)} dB`) },
    ],
  });
}

// A long name without its middle, as wide as so many pixels in the font of an axis.
function shortened(name, width) {
  const most = Math.max(6, Math.floor(width / 6.5));
  return name.length <= most ? name : `${name.slice(0, Math.ceil(most / 2) - 1)}…${name.slice(name.length - Math.floor(most / 2))}`;
}

// Sensitivity: a bar per node, the costliest on top.
function sensitivityPlot(place, nodes) {
  const room = Math.round(Math.min(280, 0.42 * place.clientWidth, 24 + 6.5 * Math.max(...nodes.map((one) => one.node.length))));
  const data = [nodes.map((_, k) => k), nodes.map((one) => one.share)];
  chart(place, 96 + 22 * nodes.length, data, {
    scales: {
      x: { time: false, ori: 1, dir: -1, range: () => [-0.6, nodes.length - 0.4] },
      y: { ori: 0, dir: 1, range: () => [0, 1.05 * nodes[0].share] },
    },
    axes: [
      axis({
        side: 3, size: room, grid: { show: false }, ticks: { show: false },
        splits: () => nodes.map((_, k) => k), values: () => nodes.map((one) => shortened(one.node, room - 12)),
      }),
      axis({ side: 2, label: "% of the noise", labelSize: 18, size: 36, values: (u, ticks) => ticks.map(short) }),
    ],
    series: [
      { label: "node", value: (u, value, s, at) => (at === null || !nodes[at] ? "–" : nodes[at].node) },
      { label: "share", stroke: seriesColour(0), fill: seriesColour(0), paths: uPlot.paths.bars({ size: [0.7, 16] }),
        points: { show: false }, value: (u, value) => (value === null || value === undefined ? "–" : `${short(value)} %`) },
    ],
  });
}

// Resources: what the run took, and which step took it.
function resourcesPlot(place, told, lines) {
  const looks = told.looks, last = looks.seconds[looks.seconds.length - 1] || 1;
  const drawSteps = (u) => {
    const { ctx } = u;
    told.steps.forEach((step, index) => {
      const from = u.valToPos(step.start, "x", true), to = u.valToPos(step.stop, "x", true);
      ctx.save();
      ctx.globalAlpha = index % 2 ? 0.05 : 0.12;
      ctx.fillStyle = colour("ink");
      ctx.fillRect(from, u.bbox.top, Math.max(1, to - from), u.bbox.height);
      ctx.restore();
    });
  };
  chart(place, 220, [looks.seconds, ...lines.map((line) => line.values)], {
    scales: { x: { time: false, range: () => [0, last] }, left: { range: (u, low, high) => [0, Math.max(1, high * 1.1)] }, right: { range: (u, low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      axis({ label: "s", labelSize: 18, size: 36 }),
      axis({ scale: "left", size: 56, values: (u, ticks) => ticks.map((t) => lines[0].form(t)) }),
      axis({ scale: "right", side: 1, size: 64, grid: { show: false }, values: (u, ticks) => ticks.map((t) => lines[1].form(t)) }),
    ],
    series: [
      { label: "second", value: (u, value) => {
        const step = told.steps.find((each) => value >= each.start && value <= each.stop);
        return value === null || value === undefined ? "–" : `${value.toFixed(1)}${step ? `, ${step.label}` : ""}`;
      } },
      ...lines.map((line, index) => ({
        label: line.label, scale: index ? "right" : "left", stroke: seriesColour(index), width: 1.5, dash: DASHES[index],
        points: { show: false }, value: (u, value) => (value === null || value === undefined ? "–" : line.form(value)),
      })),
    ],
    hooks: { drawClear: [drawSteps] },
  });
}

// All places first: how wide one is depends on those beside it.
const figures = Array.from(document.querySelectorAll("figure.plot"));
for (const figure of figures) figure.hidden = false;
for (const figure of figures) {
  const { plot, key } = figure.dataset;
  if (plot === "latency") show(figure, (place) => latencyPlot(place, DATA.latencies[key]));
  if (plot === "tradeoff") show(figure, (place) => tradeoffPlot(place, DATA.tradeoff));
  if (plot === "noise") show(figure, (place) => noisePlot(place, DATA.noise[key]));
  if (plot === "sensitivity") show(figure, (place) => sensitivityPlot(place, DATA.sensitivity[key]));
  if (plot === "resources") show(figure, (place) => resourcesPlot(place, DATA.resources, [
    { label: "cores busy", values: DATA.resources.looks.cores, form: (v) => v.toFixed(1) },
    { label: "memory", values: DATA.resources.looks.memory_bytes, form: (v) => `${(v / 1e6).toFixed(0)} MB` },
  ]));
  if (plot === "gpu") show(figure, (place) => resourcesPlot(place, DATA.resources, [
    { label: "GPU busy", values: DATA.resources.looks.gpu_share, form: (v) => `${(100 * v).toFixed(0)} %` },
    { label: "power", values: DATA.resources.looks.gpu_watts, form: (v) => `${v.toFixed(0)} W` },
  ]));
}
