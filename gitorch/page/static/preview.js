// The beginning of an output, below its row.

function table(rows) {
  const node = document.createElement("table");
  const [head, ...body] = rows;
  const add = (parent, name, cells) => {
    const row = parent.insertRow();
    for (const cell of cells) {
      const made = document.createElement(name);
      if (name === "th") made.scope = "col";
      made.textContent = cell;
      row.append(made);
    }
  };
  add(node.createTHead(), "th", head);
  const tbody = node.createTBody();
  for (const row of body) add(tbody, "td", row);
  return node;
}

function content(answer, file, name) {
  if (answer.kind === "image") {
    const image = document.createElement("img");
    image.src = file;
    image.alt = name;
    image.addEventListener("error", () => image.replaceWith("The browser cannot show this image."));
    return image;
  }
  if (answer.kind === "table") {
    const box = document.createElement("div");
    box.className = "scroll";
    box.tabIndex = 0;
    box.append(table(answer.rows));
    return box;
  }
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", name);
  pre.textContent = answer.kind === "binary" ? "This file is not a text." : answer.text;
  return pre;
}

async function show(button) {
  const row = button.closest("tr");
  if (button.getAttribute("aria-expanded") === "true") {
    row.nextElementSibling.remove();
    button.setAttribute("aria-expanded", "false");
    return;
  }
  const response = await fetch(button.dataset.preview);
  const answer = await response.json();
  const added = document.createElement("tr");
  added.className = "preview";
  added.setAttribute("data-added", "");
  const cell = added.insertCell();
  cell.colSpan = row.children.length;
  if (response.ok) {
    cell.append(content(answer, button.dataset.file, row.firstElementChild.textContent));
    if (!answer.is_whole && answer.kind !== "image") {
      const note = document.createElement("p");
      note.className = "faint";
      note.textContent = "Only the beginning is shown.";
      cell.append(note);
    }
  } else cell.textContent = answer.error.message;
  row.after(added);
  button.setAttribute("aria-expanded", "true");
}

export function setUpPreviews() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-preview]");
    if (button) show(button);
  });
}
