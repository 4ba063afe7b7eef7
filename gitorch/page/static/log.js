// The log of an attempt: its tail, what is added to it, any other part of it, and a search.
import { lineNode } from "./ansi.js";

const PIECE = 65536; // bytes
const MOST_LINES = 5000; // in the page at once
const PAUSE_MS = 500;
const at = (id) => document.getElementById(id);

const log = {
  address: "", task: "", attempt: "", start: 0, end: 0, size: 0, open: null, isLive: false,
  found: [], place: -1, searched: null, busy: false,
};

async function ask(parameters) {
  const query = new URLSearchParams(parameters);
  if (log.task) query.set("task", log.task);
  if (log.attempt) query.set("attempt", log.attempt);
  const response = await fetch(`${log.address}?${query}`);
  if (!response.ok) {
    const { error } = await response.json();
    throw new Error(error.message);
  }
  return response.json();
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB"];
  let place = -1;
  let value = bytes;
  do { value /= 1024; place += 1; } while (value >= 1024 && place < 2);
  return `${value.toFixed(1)} ${units[place]}`;
}

function showPlace() {
  at("log-place").textContent = log.size
    ? `${size(log.start)} to ${size(log.end)} of ${size(log.size)}` : "";
  at("log-name").textContent = log.name ?? "";
  at("log-more").hidden = log.end >= log.size;
}

// Adds the piece after what is shown. A line without its end is continued by the next piece.
function append(text) {
  const pre = at("log-text");
  let rest = text;
  if (log.open !== null) {
    rest = log.open + text;
    pre.lastChild?.remove();
  }
  const lines = rest.split("\n");
  log.open = lines.at(-1) === "" ? null : lines.at(-1);
  if (log.open === null) lines.pop();
  const nodes = document.createDocumentFragment();
  for (const line of lines.slice(-MOST_LINES)) nodes.append(lineNode(line));
  pre.append(nodes);
  while (pre.childElementCount > MOST_LINES) pre.firstChild.remove();
}

function shown(piece) {
  log.size = piece.size;
  log.end = piece.end;
  log.isLive = piece.is_live;
  log.task = piece.task;
  log.attempt = String(piece.attempt);
  log.name = `${piece.task}, attempt ${piece.attempt}`;
}

async function load(start) {
  try {
    const piece = await ask(start === null ? { length: PIECE } : { start, length: PIECE });
    at("log-text").replaceChildren();
    log.open = null;
    log.start = piece.start;
    shown(piece);
    append(piece.text);
    showPlace();
    if (!log.size) at("log-place").textContent = "The log is empty.";
  } catch (error) {
    at("log-text").textContent = error.message;
  }
}

async function more() {
  if (log.busy || log.end >= log.size) return;
  log.busy = true;
  try {
    const piece = await ask({ start: log.end, length: PIECE });
    if (piece.end > log.end) {
      shown(piece);
      append(piece.text);
      showPlace();
    }
  } finally {
    log.busy = false;
  }
}

function toEnd() {
  at("log-text").scrollTop = at("log-text").scrollHeight;
}

async function tick() {
  if (!document.hidden && at("log-follow").checked && !log.busy) {
    log.busy = true;
    try {
      let piece = await ask({ start: log.end, length: PIECE });
      if (piece.size - piece.end > 4 * PIECE) {
        log.busy = false;
        await load(null);
      } else if (piece.end > log.end) {
        for (;;) {
          shown(piece);
          append(piece.text);
          if (piece.end >= piece.size) break;
          const next = await ask({ start: piece.end, length: PIECE });
          if (next.end <= piece.end) break;
          piece = next;
        }
        showPlace();
        toEnd();
      }
    } catch { /* the next one may succeed */ } finally {
      log.busy = false;
    }
  }
  const isOver = !document.querySelector("#now") && !log.isLive;
  setTimeout(tick, isOver ? 4 * PAUSE_MS : PAUSE_MS);
}

async function search() {
  const text = at("log-search").value;
  log.found = [];
  log.place = -1;
  log.searched = 0;
  at("log-found").textContent = "";
  if (text) await searchMore(text);
  if (log.found.length) go(0);
}

async function searchMore(text) {
  while (log.searched !== null) {
    at("log-found").textContent = "searching …";
    const found = await ask({ search: text, start: log.searched });
    log.found.push(...found.offsets);
    log.searched = found.searched;
    if (found.offsets.length) break;
  }
  const more = log.searched === null ? "" : " or more";
  at("log-found").textContent = log.found.length ? `${log.found.length}${more} lines` : "not found";
  at("log-next").disabled = at("log-previous").disabled = !log.found.length;
}

async function go(place) {
  if (place >= log.found.length && log.searched !== null) await searchMore(at("log-search").value);
  log.place = (place + log.found.length) % log.found.length;
  at("log-follow").checked = false;
  await load(log.found[log.place]);
  at("log-text").scrollTop = 0;
  at("log-text").firstElementChild?.classList.add("found");
  at("log-found").textContent = `${log.place + 1} of ${log.found.length}${log.searched === null ? "" : " or more"}`;
}

export function setUpLog() {
  log.address = at("log").dataset.logOf;
  log.task = at("log").dataset.task;
  load(null).then(toEnd);
  at("log-text").addEventListener("scroll", (event) => {
    const pre = event.target;
    if (pre.scrollTop + pre.clientHeight > pre.scrollHeight - 200) more();
  });
  // Lines that do not fill the window cannot be scrolled.
  at("log-more").addEventListener("click", more);
  at("log-start").addEventListener("click", () => { at("log-follow").checked = false; load(0); });
  at("log-end").addEventListener("click", () => { at("log-follow").checked = true; load(null).then(toEnd); });
  at("log-search").addEventListener("change", search);
  at("log-next").addEventListener("click", () => go(log.place + 1));
  at("log-previous").addEventListener("click", () => go(log.place - 1));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-log]");
    if (!link) return;
    log.task = link.dataset.task;
    log.attempt = link.dataset.attempt ?? "";
    log.found = [];
    load(null).then(toEnd);
  });
  setTimeout(tick, PAUSE_MS);
}
