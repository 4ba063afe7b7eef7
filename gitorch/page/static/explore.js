// Params against a metric. What is brushed in one plot is chosen in all of them, and in the table.
import { axes, boxOf, element, format, onWidth, scale, within } from "./plot.js";

const FIRST = 3; // the place of the first value in a run: id, label and status come before
const RAMP = 7;
const MOST_ROWS = 100;
const DECADES = 50; // values that span this factor get a logarithmic axis
const MOST_GROUPS = 24;
const FEW = 8; // values, each of which gets a tick
const byId = (id) => document.getElementById(id);
const view = { columns: [], runs: [], scales: [], brushes: new Map(), lines: [], dots: [], links: true };

const titleOf = (name) => name.replace(/^(params|metrics)\./, "");
const valueOf = (run, place) => run[FIRST + place];
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

// The scale of a column: of its numbers, or of its other values in their order.
function columnScale(place, from, to) {
  const values = view.runs.map((run) => valueOf(run, place)).filter((value) => value !== null);
  if (values.every(isNumber)) {
    const low = values.reduce((a, b) => Math.min(a, b), Infinity);
    const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
    const log = byId("log-axes").checked && low > 0 && high / low >= DECADES;
    const at = scale(values, from, to, { log });
    at.isLog = log;
    const distinct = [...new Set(values)];
    if (distinct.length <= FEW) at.ticks = () => distinct;
    return at;
  }
  const words = [...new Set(values.map(String))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const step = (to - from) / Math.max(1, words.length);
  const at = (value) => from + (words.indexOf(String(value)) + 0.5) * step;
  at.has = (value) => value !== null && value !== undefined;
  at.words = words;
  at.ticks = () => words;
  return at;
}

function isChosen(run) {
  for (const [place, [low, high]] of view.brushes) {
    const value = valueOf(run, place);
    if (value === null || !view.scales[place].has(value)) return false;
    const pixel = view.scales[place](value);
    if (pixel < low || pixel > high) return false;
  }
  return true;
}

function rampOf(run, at, from, to) {
  const value = valueOf(run, view.columns.length - 1);
  if (value === null || !at.has(value)) return "";
  const share = (at(value) - from) / (to - from);
  return `r${Math.min(RAMP - 1, Math.max(0, Math.floor(share * RAMP)))}`;
}

function drawParallel() {
  const host = byId("parallel");
  const width = Math.max(host.clientWidth - 2, 130 * view.columns.length);
  const height = 320;
  const top = 44;
  const bottom = height - 16;
  const svg = element("svg", {
    class: "plot parallel", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Parallel coordinates of ${view.columns.map(titleOf).join(", ")} in ${view.runs.length} runs`,
  });
  const gap = (width - 130) / Math.max(1, view.columns.length - 1);
  const places = view.columns.map((_, place) => 60 + place * gap);
  view.scales = view.columns.map((_, place) => columnScale(place, bottom, top));
  const last = view.scales.at(-1);
  const lines = element("g", { class: "lines" });
  view.lines = view.runs.map((run) => {
    let text = "";
    view.columns.forEach((_, place) => {
      const value = valueOf(run, place);
      if (value === null || !view.scales[place].has(value)) return;
      text += `${text ? "L" : "M"}${places[place].toFixed(1)} ${view.scales[place](value).toFixed(1)}`;
    });
    const line = element("path", { d: text, class: rampOf(run, last, bottom, top) });
    lines.append(line);
    return line;
  });
  svg.append(lines);
  view.columns.forEach((name, place) => svg.append(axis(svg, name, place, places[place], top, bottom)));
  host.replaceChildren(svg);
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function axis(svg, name, place, x, top, bottom) {
  const at = view.scales[place];
  const group = element("g", { class: "column" });
  group.append(element("line", { class: "axis", x1: x, x2: x, y1: top, y2: bottom }));
  const short = cut(titleOf(name), 18);
  const title = element("text", { class: "title", x: within(x, short, svg.viewBox.baseVal.width), y: 16, "text-anchor": "middle" }, short);
  title.append(element("title", {}, titleOf(name)));
  group.append(title);
  if (at.isLog) group.append(element("text", { x, y: 30, "text-anchor": "middle" }, "log"));
  const ticks = at.ticks(6);
  const each = Math.ceil(ticks.length / 14);
  ticks.filter((_, number) => number % each === 0).forEach((tick) => {
    const text = at.words ? cut(tick, 14) : format(tick);
    group.append(element("text", { class: "tick", x: x + 5, y: at(tick) + 4 }, text));
  });
  const brush = element("rect", { class: "brush", x: x - 8, width: 16, y: top, height: 0, visibility: "hidden" });
  const grip = element("rect", { class: "grip", x: x - 14, width: 28, y: top - 8, height: bottom - top + 16 });
  group.append(brush, grip);
  drag(grip, svg, ({ y: start }, { y: end }) => setBrush(place, brush, start, end, top, bottom));
  return group;
}

// Calls `moved(start, now)` with places in the plot while the pointer is pressed.
function drag(target, svg, moved) {
  const placeOf = (event) => {
    const bounds = svg.getBoundingClientRect();
    const box = svg.viewBox.baseVal;
    return {
      x: ((event.clientX - bounds.left) / bounds.width) * box.width,
      y: ((event.clientY - bounds.top) / bounds.height) * box.height,
    };
  };
  target.addEventListener("pointerdown", (event) => {
    const start = placeOf(event);
    target.setPointerCapture(event.pointerId);
    const move = (next) => moved(start, placeOf(next));
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", (next) => {
      target.removeEventListener("pointermove", move);
      moved(start, placeOf(next));
    }, { once: true });
    event.preventDefault();
  });
}

function setBrush(place, brush, start, end, top, bottom) {
  const low = Math.max(top, Math.min(start, end));
  const high = Math.min(bottom, Math.max(start, end));
  if (high - low < 4) view.brushes.delete(place);
  else view.brushes.set(place, [low, high]);
  const range = view.brushes.get(place);
  brush?.setAttribute("visibility", range ? "visible" : "hidden");
  if (range && brush) {
    brush.setAttribute("y", low);
    brush.setAttribute("height", high - low);
  }
  choose();
}

// The box of a plot in the size in which its figure is shown.
function figureBox(figure) {
  const width = Math.max(240, figure.clientWidth - 24);
  return boxOf(width, Math.min(320, Math.round(width * 0.75)), { left: 60, top: 14 });
}

function drawScatter() {
  const metric = view.columns.length - 1;
  const param = view.columns.indexOf(byId("param")?.value ?? view.param);
  const figure = byId("scatter");
  const box = figureBox(figure);
  const x = columnScale(param, box.left + 8, box.right - 8);
  const y = columnScale(metric, box.bottom - 6, box.top);
  const svg = element("svg", {
    class: "plot", viewBox: `0 0 ${box.width} ${box.height}`, role: "img",
    "aria-label": `${titleOf(view.columns[metric])} by ${titleOf(view.columns[param])} in ${view.runs.length} runs`,
  });
  svg.append(axesOf(x, y, box, titleOf(view.columns[param])));
  view.dots = view.runs.map((run) => {
    const across = valueOf(run, param);
    const up = valueOf(run, metric);
    if (across === null || up === null || !x.has(across) || !y.has(up)) return null;
    const dot = element("circle", { class: `dot ${rampOf(run, y, box.bottom, box.top)}`, cx: x(across).toFixed(1), cy: y(up).toFixed(1), r: view.runs.length > 500 ? 2.5 : 4 });
    dot.append(element("title", {}, `${run[1]}: ${format(up)}`));
    svg.append(dot);
    return dot;
  });
  const brush = element("rect", { class: "brush", visibility: "hidden" });
  const grip = element("rect", { class: "grip", x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top });
  svg.prepend(grip);
  svg.append(brush);
  drag(svg, svg, (start, end) => {
    const left = Math.min(start.x, end.x);
    const right = Math.max(start.x, end.x);
    const top = Math.min(start.y, end.y);
    const bottom = Math.max(start.y, end.y);
    const isClick = right - left < 4 && bottom - top < 4;
    view.area = isClick ? null : (run) => {
      const across = valueOf(run, param);
      const up = valueOf(run, metric);
      if (across === null || up === null || !x.has(across) || !y.has(up)) return false;
      return x(across) >= left && x(across) <= right && y(up) >= top && y(up) <= bottom;
    };
    for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) brush.setAttribute(name, value);
    brush.setAttribute("visibility", isClick ? "hidden" : "visible");
    choose();
  });
  figure.querySelector("figcaption span").textContent = `${titleOf(view.columns[metric])} by ${titleOf(view.columns[param])}`;
  figure.querySelector("svg")?.remove();
  figure.append(svg);
}

// Axes of which the lower one may have words.
function axesOf(x, y, box, xName) {
  if (!x.words) return axes(x, y, box, { xName });
  const numbers = () => 0;
  numbers.ticks = () => [];
  const group = axes(numbers, y, box, { xName });
  const each = Math.ceil((x.words.length * 70) / (box.right - box.left));
  x.words.filter((_, place) => place % each === 0).forEach((word) => {
    group.append(element("text", { x: x(word), y: box.bottom + 17, "text-anchor": "middle" }, cut(word, 12)));
  });
  return group;
}

function drawMeans(chosen) {
  const metric = view.columns.length - 1;
  const param = view.columns.indexOf(byId("param")?.value ?? view.param);
  const groups = new Map();
  for (const run of chosen) {
    const key = valueOf(run, param);
    const value = valueOf(run, metric);
    if (key === null || !isNumber(value)) continue;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(value);
  }
  const figure = byId("means");
  figure.querySelector("svg")?.remove();
  figure.hidden = groups.size > MOST_GROUPS || groups.size === 0;
  if (figure.hidden) return;
  const rows = [...groups].map(([key, values]) => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const deviation = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
    return { key, mean, deviation, count: values.length };
  });
  rows.sort((a, b) => (isNumber(a.key) && isNumber(b.key) ? a.key - b.key : String(a.key).localeCompare(String(b.key), "en", { numeric: true })));
  const box = figureBox(figure);
  const step = (box.right - box.left) / rows.length;
  const y = scale(rows.flatMap(({ mean, deviation }) => [mean - deviation, mean + deviation]), box.bottom - 6, box.top);
  const across = () => 0;
  across.ticks = () => [];
  const svg = element("svg", {
    class: "plot", viewBox: `0 0 ${box.width} ${box.height}`, role: "img",
    "aria-label": rows.map((row) => `${row.key}: ${format(row.mean)} ± ${format(row.deviation)}, ${row.count} runs`).join("; "),
  });
  svg.append(axes(across, y, box, { xName: titleOf(view.columns[param]) }));
  const each = Math.ceil((rows.length * 45) / (box.right - box.left));
  rows.forEach((row, place) => {
    const x = box.left + (place + 0.5) * step;
    if (row.count > 1) {
      const [low, high] = [y(row.mean - row.deviation), y(row.mean + row.deviation)];
      svg.append(element("path", { class: "line k1", d: `M${x} ${low}V${high}M${x - 5} ${low}h10M${x - 5} ${high}h10` }));
    }
    const dot = element("circle", { class: "dot k1", cx: x, cy: y(row.mean), r: 4 });
    dot.append(element("title", {}, `${row.key}: ${format(row.mean)} ± ${format(row.deviation)}, ${row.count} runs`));
    svg.append(dot);
    if (place % each === 0) {
      const text = isNumber(row.key) ? format(row.key) : cut(String(row.key), 10);
      svg.append(element("text", { x, y: box.bottom + 17, "text-anchor": "middle" }, text));
    }
  });
  const counts = rows.map((row) => row.count);
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  figure.querySelector("figcaption span").textContent = `Mean ${titleOf(view.columns[metric])}, ± one standard deviation`;
  figure.querySelector(".value").textContent = fewest === most ? `${most} ${most === 1 ? "run" : "runs"} each` : `${fewest} to ${most} runs each`;
  figure.append(svg);
}

function drawTable(chosen) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const heading = (text, isNumeric) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = text;
    if (isNumeric) cell.className = "number";
    head.append(cell);
  };
  heading("run", false);
  const numeric = view.columns.map((_, place) => view.scales[place].words === undefined);
  view.columns.forEach((name, place) => heading(titleOf(name), numeric[place]));
  const body = table.createTBody();
  for (const run of chosen.slice(0, MOST_ROWS)) {
    const row = body.insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    const text = view.links ? document.createElement("a") : document.createElement("span");
    if (view.links) text.href = `/runs/${run[0]}`;
    text.textContent = run[1];
    name.append(text);
    row.append(name);
    view.columns.forEach((_, place) => {
      const cell = row.insertCell();
      const value = valueOf(run, place);
      cell.textContent = isNumber(value) ? format(value) : value ?? "";
      if (numeric[place]) cell.className = "number";
    });
  }
  byId("explore-table").replaceChildren(table);
}

function choose() {
  const chosen = [];
  view.runs.forEach((run, place) => {
    const is = isChosen(run) && (!view.area || view.area(run));
    if (is) chosen.push(run);
    view.lines[place]?.classList.toggle("off", !is);
    view.dots[place]?.classList.toggle("off", !is);
  });
  const isAll = !view.brushes.size && !view.area;
  byId("explore-count").textContent = isAll ? "" : `${chosen.length} of ${view.runs.length} runs are chosen.`;
  byId("explore-clear").hidden = isAll;
  cancelAnimationFrame(view.frame);
  view.frame = requestAnimationFrame(() => { drawMeans(chosen); drawTable(chosen); });
}

function draw() {
  view.brushes.clear();
  view.area = null;
  drawParallel();
  drawScatter();
  choose();
}

function show(data) {
  Object.assign(view, data);
  draw();
  byId("log-axes").addEventListener("change", draw);
  byId("explore-clear").addEventListener("click", draw);
  onWidth(draw);
  byId("param")?.addEventListener("change", () => {
    const address = new URL(location.href);
    address.searchParams.set("param", byId("param").value);
    if (view.links) history.replaceState(null, "", address);
    draw();
  });
  if (view.links) byId("metric")?.addEventListener("change", () => byId("filter").requestSubmit());
}

export async function setUpExplore() {
  const section = byId("explore");
  const fixed = section.querySelector("script[type='application/json']");
  if (fixed) {
    view.links = false;
    show(JSON.parse(fixed.textContent));
  } else show(await (await fetch(section.dataset.explore)).json());
}
