// The curves of one run or of several, drawn again while a run continues.
import { colorOf, format, legend, linePlot, onWidth, pointsOf, withPointer } from "./plot.js";

const PAUSE_MS = 700;
const MOST_FIGURES = 60;
const MARGINS = 26; // of a figure, in pixels
const LEAST = 200;
let section = null;
let shown = "";

function control(id, text, input) {
  const label = document.createElement("label");
  label.className = "inline";
  label.htmlFor = id;
  input.id = id;
  label.append(input, ` ${text}`);
  return label;
}

function controls() {
  const bar = document.createElement("div");
  bar.className = "toolbar";
  const log = document.createElement("input");
  log.type = "checkbox";
  const smooth = document.createElement("input");
  Object.assign(smooth, { type: "range", min: "0", max: "0.99", step: "0.01", value: "0" });
  const label = control("smooth", "", smooth);
  label.prepend("Smoothing ");
  bar.append(control("log-scale", "Log scale", log), label);
  return bar;
}

// The metrics of all runs: by name, the curve of each run that has it.
function gathered(answer) {
  const byName = new Map();
  answer.runs.forEach((run, place) => {
    for (const [name, series] of Object.entries(run.series)) {
      // A single value is not a curve: it is among the metrics.
      if (series.total < 2) continue;
      if (!byName.has(name)) byName.set(name, []);
      byName.get(name).push({ name: run.label, color: colorOf(place), points: pointsOf(series.points), total: series.total });
    }
  });
  return byName;
}

function description(name, curves) {
  const parts = curves.map((curve) => {
    const values = curve.points.map(([, value]) => value).filter(Number.isFinite);
    if (!values.length) return `${curve.name}: no finite values`;
    const low = values.reduce((a, b) => Math.min(a, b));
    const high = values.reduce((a, b) => Math.max(a, b));
    return `${curve.name}: ${values.length} points from ${format(low)} to ${format(high)}, last ${format(values.at(-1))}`;
  });
  return `${name}. ${parts.join(". ")}`;
}

function figure(name, curves, width) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const value = document.createElement("span");
  value.className = "value";
  const rest = () => {
    const [only] = curves;
    value.textContent = curves.length === 1 ? format(only.points.at(-1)?.[1]) : "";
  };
  const title = document.createElement("span");
  title.textContent = name;
  caption.append(title, value);
  const svg = linePlot(curves, {
    width,
    log: document.getElementById("log-scale").checked,
    weight: Number(document.getElementById("smooth").value),
    label: description(name, curves),
  });
  withPointer(svg, curves, (step, nearest) => {
    if (step === null) rest();
    else value.textContent = `${format(step)}: ${nearest.map((point) => format(point?.[1])).join(", ")}`;
  });
  rest();
  figure.append(caption, svg);
  return figure;
}

function draw(answer) {
  const byName = gathered(answer);
  section.hidden = byName.size === 0;
  const box = section.querySelector(".figures");
  // The width of a column, NaN if there is none.
  const column = Number.parseFloat(getComputedStyle(box).gridTemplateColumns);
  const width = column > LEAST ? column - MARGINS : undefined;
  const figures = [...byName].slice(0, MOST_FIGURES).map(([name, curves]) => figure(name, curves, width));
  box.replaceChildren(...figures);
  section.querySelector(".legend")?.remove();
  if (answer.runs.length > 1) box.before(legend(answer.runs.map((run) => run.label)));
  const note = section.querySelector(".note");
  const rest = byName.size - MOST_FIGURES;
  note.textContent = [...answer.notes, ...(rest > 0 ? [`and ${rest} more metrics`] : [])].join("; ");
}

async function update() {
  let pause = PAUSE_MS;
  try {
    const text = await (await fetch(section.dataset.curves)).text();
    const answer = JSON.parse(text);
    if (answer.error) return;
    if (text !== shown) {
      shown = text;
      draw(answer);
      section.redraw = () => draw(answer);
    }
    if (!answer.is_running && !document.getElementById("now")) pause = null;
  } catch { pause = 4 * PAUSE_MS; }
  if (pause !== null) setTimeout(update, document.hidden ? 4 * pause : pause);
  else document.addEventListener("changed", restart, { once: true });
}

// A run that was over may continue, as after a retry.
function restart() {
  setTimeout(update, PAUSE_MS);
}

export function setUpCurves() {
  section = document.querySelector("[data-curves]");
  const box = document.createElement("div");
  box.className = "figures";
  const note = document.createElement("p");
  note.className = "faint note";
  const bar = controls();
  section.append(bar, box, note);
  bar.addEventListener("input", () => section.redraw?.());
  onWidth(() => section.redraw?.());
  const fixed = section.querySelector("script[type='application/json']");
  if (fixed) {
    const answer = JSON.parse(fixed.textContent);
    section.redraw = () => draw(answer);
    section.redraw();
  } else update();
}
