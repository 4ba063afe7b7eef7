// Sorts a table by the column whose heading is pressed: numbers by size, other values as texts.

function valueOf(row, place) {
  const cell = row.children[place];
  return cell.dataset.value ?? cell.textContent.trim();
}

function compared(a, b) {
  // A run without the value comes last in both orders.
  if (a === "" || b === "") return { isLast: true, order: (a === "") - (b === "") };
  const [x, y] = [Number(a), Number(b)];
  const areNumbers = !Number.isNaN(x) && !Number.isNaN(y);
  return { isLast: false, order: areNumbers ? x - y : a.localeCompare(b, "en", { numeric: true }) };
}

function sortBy(table, heading) {
  const next = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", other === heading ? next : "none");
  const sign = next === "ascending" ? 1 : -1;
  const place = heading.cellIndex;
  const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, place), row]);
  rows.sort(([a], [b]) => {
    const { isLast, order } = compared(a, b);
    return isLast ? order : sign * order;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

export function setUpSort() {
  for (const table of document.querySelectorAll("table[data-sorted]")) {
    for (const button of table.tHead.querySelectorAll("button")) {
      button.disabled = false;
      button.addEventListener("click", () => sortBy(table, button.closest("th")));
    }
  }
}
