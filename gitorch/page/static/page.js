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

function follow() {
  const source = new EventSource(liveAddress());
  source.addEventListener("open", () => {
    connection.textContent = "live";
    connection.classList.add("live");
  });
  source.addEventListener("error", () => {
    connection.textContent = "not connected";
    connection.classList.remove("live");
  });
  source.addEventListener("part", (event) => {
    // The server has escaped every value, and the policy of the page runs no script in it.
    const next = new DOMParser().parseFromString(JSON.parse(event.data), "text/html");
    morphChildren(part, next.body);
    document.dispatchEvent(new CustomEvent("changed"));
  });
  addEventListener("pagehide", () => source.close());
}

async function setUp() {
  setUpActs();
  if (document.getElementById("chosen")) setUpChoice();
  if (document.getElementById("log")) (await import("./log.js")).setUpLog();
  if (document.querySelector("[data-preview]")) (await import("./preview.js")).setUpPreviews();
  if (document.querySelector("[data-curves]")) (await import("./curves.js")).setUpCurves();
  if (document.getElementById("explore")) (await import("./explore.js")).setUpExplore();
  if (part.dataset.section && !document.querySelector("[data-still]")) follow();
}

setUp();
