// Brings the DOM to a newer state: nodes that stay keep their focus, selection and scroll position.

const idOf = (node) => (node.nodeType === 1 ? node.id : "");

function sameKind(old, next) {
  return old.nodeType === next.nodeType && old.nodeName === next.nodeName && idOf(old) === idOf(next);
}

// What a module of the page has added stays.
const isAdded = (node) => node?.nodeType === 1 && node.hasAttribute("data-added");

function copyAttributes(old, next) {
  for (const { name } of [...old.attributes]) {
    // A section that the user has opened stays open.
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    // The server does not know that the scripts are loaded.
    if (name === "disabled" && old.hasAttribute("data-scripted")) continue;
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function morphNode(old, next) {
  if (old.nodeType === 3) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  if (old.nodeType !== 1 || old.hasAttribute("data-keep")) return;
  copyAttributes(old, next);
  morphChildren(old, next);
}

export function morphChildren(old, next) {
  const byId = new Map();
  for (const child of old.children) if (child.id) byId.set(child.id, child);
  let place = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    while (isAdded(place)) place = place.nextSibling;
    const named = idOf(wanted) && byId.get(wanted.id);
    if (named && named.nodeName === wanted.nodeName) {
      if (named !== place) old.insertBefore(named, place);
      else place = place.nextSibling;
      morphNode(named, wanted);
    } else if (place && sameKind(place, wanted)) {
      const following = place.nextSibling;
      morphNode(place, wanted);
      place = following;
    } else {
      old.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const following = place.nextSibling;
    if (!isAdded(place)) place.remove();
    place = following;
  }
}
