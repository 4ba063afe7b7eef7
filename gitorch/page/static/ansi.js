// Text with the colours of a terminal, as nodes. Every other control sequence is left out.

const SEQUENCE = /\x1b\[([0-9;:]*)m|\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|.)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;
// Marks that change the direction of text are shown, since with them a text can look like another one.
const MARKS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const LONGEST = 4000;

function changed(classes, codes) {
  let next = new Set(classes);
  const numbers = codes.split(/[;:]/).map(Number);
  for (let place = 0; place < numbers.length; place += 1) {
    const code = numbers[place];
    if (code === 0) next = new Set();
    else if (code === 22) { next.delete(1); next.delete(2); }
    else if (code === 23 || code === 24) next.delete(code - 20);
    else if ((code >= 30 && code <= 39) || (code >= 90 && code <= 97)) {
      for (const old of next) if (old >= 30) next.delete(old);
      if (code === 38) place += numbers[place + 1] === 5 ? 2 : 4;
      else if (code !== 39) next.add(code);
    } else if (code === 48) place += numbers[place + 1] === 5 ? 2 : 4;
    else if (code >= 1 && code <= 4) next.add(code);
  }
  return next;
}

function span(text, classes) {
  const shown = text.replace(MARKS, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
  if (!classes.size) return document.createTextNode(shown);
  const node = document.createElement("span");
  node.className = [...classes].map((code) => `a${code}`).join(" ");
  node.textContent = shown;
  return node;
}

// What a terminal shows of a line that a progress bar writes again and again: the last writing.
function lastWriting(line) {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf("\r") + 1);
}

export function lineNode(line) {
  const node = document.createElement("div");
  let text = lastWriting(line);
  let left = 0;
  if (text.length > LONGEST) {
    left = text.length - LONGEST;
    text = text.slice(0, LONGEST);
  }
  let classes = new Set();
  let from = 0;
  for (const found of text.matchAll(SEQUENCE)) {
    if (found.index > from) node.append(span(text.slice(from, found.index), classes));
    if (found[1] !== undefined) classes = changed(classes, found[1]);
    from = found.index + found[0].length;
  }
  if (from < text.length) node.append(span(text.slice(from), classes));
  if (left) {
    const cut = document.createElement("span");
    cut.className = "cut";
    cut.textContent = ` … and ${left.toLocaleString("en")} more characters`;
    node.append(cut);
  }
  if (!node.firstChild) node.append("\n");
  return node;
}
