// The runs that are chosen in the table: they can be compared, or changed together.
import { ask } from "./act.js";

const at = (id) => document.getElementById(id);
const boxes = () => [...document.querySelectorAll('#chosen tbody input[name="run"]')];
const chosen = () => boxes().filter((box) => box.checked);

function update() {
  const count = chosen().length;
  const all = at("all");
  if (!all) return;
  at("toolbar").hidden = count === 0;
  at("chosen-count").textContent = count > 6 ? `${count} chosen, up to 6 can be compared` : `${count} chosen`;
  at("compare").disabled = count < 2 || count > 6;
  all.checked = count > 0 && count === boxes().length;
  all.indeterminate = count > 0 && !all.checked;
  for (const button of document.querySelectorAll("#toolbar [data-chosen]")) {
    const { verb } = button.dataset;
    button.disabled = !chosen().some((box) => box.closest("tr").dataset.verbs.split(" ").includes(verb));
  }
}

export function setUpChoice() {
  document.addEventListener("change", (event) => {
    if (event.target.id === "all") for (const box of boxes()) box.checked = event.target.checked;
    update();
  });
  at("clear")?.addEventListener("click", () => {
    for (const box of boxes()) box.checked = false;
    update();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-chosen]");
    if (!button) return;
    const { verb } = button.dataset;
    const able = chosen().filter((box) => box.closest("tr").dataset.verbs.split(" ").includes(verb));
    ask(verb, able.map((box) => box.value), able.length === 1 ? able[0].value : `${able.length} runs`);
  });
  document.addEventListener("acted", () => { for (const box of boxes()) box.checked = false; update(); });
  document.addEventListener("changed", update);
  update();
}
