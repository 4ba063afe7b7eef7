// The page: it follows its stream, and offers the changes. What a view needs alone is in its module.
import { morphChildren } from "./morph.js";
import { setUpActs } from "./act.js";
import { setUpChoice } from "./choice.js";

const part = document.getElementById("part");
const connection = document.getElementById("connection");

function liveAddress() {
  const path = location.pathname === "/" ? "/overview" : location.pathname;
  return `${path}.live${location.search}`;
}

let source = null;

function say(text, isLive) {
  connection.textContent = text;
  connection.classList.toggle("live", isLive);
}

function show(event) {
  // The server has escaped every value, and the policy of the page runs no script in it.
  // The element around it keeps the white space before it, so that all nodes match.
  const html = `<div>${JSON.parse(event.data)}</div>`;
  const next = new DOMParser().parseFromString(html, "text/html");
  morphChildren(part, next.body.firstChild);
  document.dispatchEvent(new CustomEvent("changed"));
}

function connect() {
  source = new EventSource(liveAddress());
  source.addEventListener("open", () => say("live", true));
  source.addEventListener("error", () => say("not connected", false));
  source.addEventListener("part", show);
}

function disconnect() {
  source?.close();
  source = null;
}

// A hidden page has no stream: a browser allows few connections to one server, for all its pages.
function follow() {
  if (!document.hidden) connect();
  document.addEventListener("visibilitychange", () => {
    disconnect();
    if (document.hidden) say("", false);
    else connect();
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => { if (event.persisted && !document.hidden) connect(); });
}

// The modules that parts of a view need, by the selector of the part. A part may come later.
const modules = new Map([
  ["#chosen", async () => setUpChoice()],
  ["#log", async () => (await import("./log.js")).setUpLog()],
  ["[data-preview]", async () => (await import("./preview.js")).setUpPreviews()],
  ["[data-curves]", async () => (await import("./curves.js")).setUpCurves()],
  ["#explore", async () => (await import("./explore.js")).setUpExplore()],
]);

// What needs a script is disabled until it has been loaded.
async function setUpParts() {
  const started = [];
  for (const [selector, start] of modules) {
    if (!document.querySelector(selector)) continue;
    modules.delete(selector);
    started.push(start());
  }
  await Promise.all(started);
  for (const control of document.querySelectorAll("[data-scripted]")) control.disabled = false;
}

setUpActs();
setUpParts();
document.addEventListener("changed", setUpParts);
if (part.dataset.section && !document.querySelector("[data-still]")) follow();
