// The changes of runs: a dialog asks for the reason, and shows why a change was refused.

const titles = {
  hold: ["Hold", "No more tasks start. A running task is allowed to end."],
  release: ["Release", "The runs continue."],
  retry: ["Retry", "The runs continue at the task that failed."],
  rerun: ["Rerun", "New runs with the same code and the same config are queued."],
  priority: ["Set priority", "Tasks of runs with a higher priority start first."],
  kill: ["Kill", "The processes end, and the records are removed. This cannot be undone here."],
};
const at = (id) => document.getElementById(id);
let wish = null;

export function ask(verb, runs, label) {
  const [title, what] = titles[verb];
  wish = { verb, runs };
  at("ask-title").textContent = `${title} ${label}`;
  at("ask-what").textContent = what;
  at("ask-go").textContent = title;
  at("ask-why").value = "";
  at("ask-problem").hidden = true;
  at("ask-priority").parentElement.hidden = verb !== "priority";
  at("ask").showModal();
  at("ask-why").focus();
}

export function toast(text) {
  const toast = at("toast");
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { toast.hidden = true; }, 8000);
}

function showProblem(text) {
  at("ask-problem").textContent = text;
  at("ask-problem").hidden = false;
}

function inWords(verb, answer) {
  const done = answer.changed ?? answer.runs ?? [];
  const words = { hold: "held", release: "released", retry: "queued again", rerun: "queued as new runs", priority: "changed", kill: "killed" };
  const parts = [`${done.length} ${done.length === 1 ? "run" : "runs"} ${words[verb]}`];
  for (const { id, why } of answer.refused ?? []) parts.push(`${id}: ${why}`);
  for (const note of answer.notes ?? []) parts.push(note);
  return parts.join(". ");
}

async function go() {
  const body = { ...wish, why: at("ask-why").value };
  if (wish.verb === "priority") body.priority = Number.parseInt(at("ask-priority").value, 10);
  at("ask-go").disabled = true;
  try {
    const response = await fetch("/act", {
      method: "POST",
      headers: { "X-Gitorch-CSRF": document.querySelector("meta[name=csrf]").content, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) {
      let error = { message: text };
      try { error = JSON.parse(text).error; } catch { /* the text is the message */ }
      showProblem([error.message, error.hint].filter(Boolean).join("\n"));
      return;
    }
    at("ask").close();
    toast(inWords(wish.verb, JSON.parse(text)));
    document.dispatchEvent(new CustomEvent("acted"));
  } catch (error) {
    showProblem(`The server cannot be reached: ${error.message}`);
  } finally {
    at("ask-go").disabled = false;
  }
}

export function setUpActs() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-verb]");
    if (!button || "chosen" in button.dataset) return;
    ask(button.dataset.verb, button.dataset.runs.split(" "), button.dataset.label);
  });
  at("ask-cancel").addEventListener("click", () => at("ask").close());
  at("ask").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
}
