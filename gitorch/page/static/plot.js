// Plots in SVG: lines, points and parallel coordinates, with linear and logarithmic axes.

const NAMESPACE = "http://www.w3.org/2000/svg";
export const COLORS = 8; // classes k1 to k8

export function element(name, attributes = {}, ...children) {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// The classes of a line: a colour, and a kind of dashes when all colours are taken.
export const colorOf = (place) => `k${(place % COLORS) + 1} d${Math.floor(place / COLORS) % 4}`;

export function format(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

// Round values between low and high, about `count` of them.
function linearTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const ticks = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place += 1) {
    ticks.push(Number((place * step).toPrecision(12)));
  }
  return ticks;
}

function logTicks(low, high, count) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const decades = last - first + 1;
  if (decades < 2) return linearTicks(low, high, count).filter((tick) => tick > 0);
  const each = Math.max(1, Math.ceil(decades / count));
  const ticks = [];
  for (let power = first; power <= last; power += each) ticks.push(10 ** power);
  return ticks;
}

// A scale from values to pixels. An axis without extent gets one.
export function scale(values, from, to, { log = false } = {}) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) [low, high] = log ? [1, 10] : [0, 1];
  if (low === high) {
    const margin = log ? 0 : Math.abs(low) * 0.1 || 1;
    [low, high] = log ? [low / 2, high * 2] : [low - margin, high + margin];
  }
  const forward = log ? Math.log10 : (value) => value;
  const start = forward(low);
  const size = forward(high) - start;
  const at = (value) => from + ((forward(value) - start) / size) * (to - from);
  at.low = low;
  at.high = high;
  at.has = (value) => Number.isFinite(value) && (!log || value > 0);
  at.ticks = (count) => (log ? logTicks : linearTicks)(low, high, count);
  at.invert = (pixel) => {
    const value = start + ((pixel - from) / (to - from)) * size;
    return log ? 10 ** value : value;
  };
  return at;
}

function path(points, x, y) {
  let text = "";
  let isOpen = false;
  for (const [step, value] of points) {
    if (!y.has(value) || !x.has(step)) { isOpen = false; continue; }
    text += `${isOpen ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
    isOpen = true;
  }
  return text;
}

// The exponentially weighted mean, without the pull of the first value (as in Adam).
export function smoothed(points, weight) {
  let mean = 0;
  let share = 0;
  return points.map(([step, value]) => {
    if (!Number.isFinite(value)) return [step, null];
    mean = weight * mean + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return [step, mean / share];
  });
}

// The place of the middle of a text, so that it is not cut at an edge of the plot.
export function within(place, text, width) {
  const half = text.length * 3.7 + 2;
  return Math.max(half, Math.min(place, width - half));
}

// Calls `draw` when the window has another width: plots are drawn in the size in which they are shown.
export function onWidth(draw) {
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    draw();
  });
}

export function axes(x, y, box, { xName = "", yName = "" } = {}) {
  const group = element("g", { "aria-hidden": "true" });
  for (const tick of y.ticks(Math.max(2, Math.round((box.bottom - box.top) / 32)))) {
    const place = y(tick);
    group.append(element("line", { class: "grid", x1: box.left, x2: box.right, y1: place, y2: place }));
    group.append(element("text", { x: box.left - 6, y: place + 4, "text-anchor": "end" }, format(tick)));
  }
  let free = 0; // where the next label may begin
  for (const tick of x.ticks(Math.max(2, Math.round((box.right - box.left) / 75)))) {
    group.append(element("line", { class: "axis", x1: x(tick), x2: x(tick), y1: box.bottom, y2: box.bottom + 4 }));
    const text = format(tick);
    const middle = within(x(tick), text, box.width);
    if (middle - text.length * 3.7 < free) continue;
    free = middle + text.length * 3.7 + 8;
    group.append(element("text", { x: middle, y: box.bottom + 17, "text-anchor": "middle" }, text));
  }
  group.append(element("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  if (xName) group.append(element("text", { x: box.right, y: box.bottom + 32, "text-anchor": "end" }, xName));
  if (yName) group.append(element("text", { x: box.left, y: box.top - 6 }, yName));
  return group;
}

export function boxOf(width, height, { left = 52, right = 10, top = 10, bottom = 36 } = {}) {
  return { left, right: width - right, top, bottom: height - bottom, width, height };
}

// Lines: series is a list of { name, points: [[x, y]], color }. With a weight, the raw line stays
// visible behind the smooth one.
export function linePlot(series, { width = 480, height = 220, log = false, weight = 0, label = "", xName = "step" } = {}) {
  const box = boxOf(width, height);
  const every = series.flatMap((one) => one.points);
  const x = scale(every.map(([step]) => step), box.left, box.right);
  const y = scale(every.map(([, value]) => value), box.bottom, box.top, { log });
  const svg = element("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  svg.append(axes(x, y, box, { xName }));
  series.forEach((one, place) => {
    const color = one.color ?? colorOf(place);
    if (weight > 0) svg.append(element("path", { class: `raw ${color}`, d: path(one.points, x, y) }));
    const line = weight > 0 ? smoothed(one.points, weight) : one.points;
    svg.append(element("path", { class: `line ${color}`, d: path(line, x, y) }));
    if (one.points.length === 1 && y.has(one.points[0][1])) {
      svg.append(element("circle", { class: `dot ${color}`, cx: x(one.points[0][0]), cy: y(one.points[0][1]), r: 3 }));
    }
  });
  svg.scaleX = x;
  svg.box = box;
  return svg;
}

// Shows the values at the pointer: a line in the plot, and a text from `say(nearest)`.
export function withPointer(svg, series, say) {
  const cross = element("line", { class: "axis", y1: svg.box.top, y2: svg.box.bottom, visibility: "hidden" });
  svg.append(cross);
  svg.addEventListener("pointermove", (event) => {
    const bounds = svg.getBoundingClientRect();
    const place = ((event.clientX - bounds.left) / bounds.width) * svg.box.width;
    const wanted = svg.scaleX.invert(place);
    const nearest = series.map((one) => nearestOf(one.points, wanted));
    const found = nearest.find(Boolean);
    if (!found) return;
    cross.setAttribute("x1", svg.scaleX(found[0]));
    cross.setAttribute("x2", svg.scaleX(found[0]));
    cross.setAttribute("visibility", "visible");
    say(found[0], nearest);
  });
  svg.addEventListener("pointerleave", () => {
    cross.setAttribute("visibility", "hidden");
    say(null, []);
  });
}

function nearestOf(points, wanted) {
  let best = null;
  for (const point of points) {
    if (!Number.isFinite(point[1])) continue;
    if (!best || Math.abs(point[0] - wanted) < Math.abs(best[0] - wanted)) best = point;
  }
  return best;
}

// The points of a series by step, or by their number if it has no steps.
export function pointsOf(series) {
  const hasSteps = series.some(([step]) => step !== null);
  return series.map(([step, value], place) => [hasSteps ? step : place, value]);
}

export function legend(names) {
  const list = document.createElement("ul");
  list.className = "legend";
  names.forEach((name, place) => {
    const item = document.createElement("li");
    item.append(
      element("svg", { viewBox: "0 0 20 8", "aria-hidden": "true" }, element("line", { class: colorOf(place), x1: 0, x2: 20, y1: 4, y2: 4 })),
      document.createTextNode(name),
    );
    list.append(item);
  });
  return list;
}
