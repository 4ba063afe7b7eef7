"""`extends`: a config laid over the files that it builds upon."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gitorch.config.document import Document, Node, grafted, kind_of, mapping_node
from gitorch.config.parsing import parse_document
from gitorch.model.problem import Problem

SUFFIXES = (".yaml", ".yml")
DEEPEST = 50  # files that extend one another
_PATH = ("gitorch", "extends")
_HOW = "write the path of a YAML file, relative to this one, or a list of such paths"


class Base(NamedTuple):
    """A file that a config extends, itself or through another."""

    path: Path
    data: bytes


class Extended(NamedTuple):
    """`is_whole`: all of them could be read."""

    document: Document
    bases: tuple[Base, ...] = ()
    is_whole: bool = True


def extended(document: Document) -> Extended:
    """The document laid over all that it extends, deeply: lists and scalars are replaced, null drops a key (RFC 7396).

    Every value keeps its place in the file that it came from. Never raises.
    """
    if document.node(_PATH) is None:
        return Extended(document)
    extending = _Extending()
    root = extending.laid_over(document, _place(Path(document.file)), ())
    problems = (*document.problems, *extending.problems)
    return Extended(
        Document(document.source, root, problems),
        tuple(extending.bases.values()),
        extending.is_whole,
    )


def merged(under: Node | None, over: Node) -> Node:
    """RFC 7396 (JSON Merge Patch), with places: `over` is the patch."""
    if not isinstance(over.children, dict):
        return over
    children = dict(under.children) if under and isinstance(under.children, dict) else {}
    for name, (key, node) in over.children.items():
        if node.value is None:
            children.pop(name, None)
        else:
            children[name] = key, merged(children[name][1] if name in children else None, node)
    return mapping_node(children, over.span)


def written_bases(document: Document) -> Iterator[Node]:
    """What `extends` names, as far as it is text."""
    node = document.node(_PATH)
    for item in (node.children or [node]) if node and not isinstance(node.children, dict) else ():
        if isinstance(item, Node) and isinstance(item.value, str):
            yield item


def with_bases_at(data: bytes, place_of: Callable[[str], str | None]) -> bytes:
    """A config that extends the same files at other places; `place_of` says where each now is, None: where it was."""
    document = parse_document(data, "")
    text = document.source.text
    for node in sorted(written_bases(document), key=lambda node: node.span.start, reverse=True):
        if place := place_of(node.value):
            text = (
                text[: node.span.start]
                + json.dumps(place, ensure_ascii=False)
                + text[node.span.end :]
            )
    return text.encode()


class _Extending:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.bases: dict[Path, Base] = {}
        self.is_whole = True
        self._roots: dict[Path, Node | None] = {}

    def laid_over(self, document: Document, place: Path, above: tuple[Path, ...]) -> Node | None:
        """The root of a document laid over what it extends; `above` are the files that extend it."""
        root, said = document.root, document.node(_PATH)
        if root is None or said is None:
            return root
        written = list(written_bases(document))
        if isinstance(said.value, dict) or len(written) != (
            len(said.value) if isinstance(said.value, list) else 1
        ):
            message = f"'extends' must be text or a list of texts, not {kind_of(said.value)}"
            self.problems.append(document.problem(_PATH, message, _HOW))
        under: Node | None = None
        for node in written:
            base = self._base(node, document, place, (*above, place))
            self.is_whole = self.is_whole and base is not None
            under = merged(under, base) if base and under else base or under
        over = grafted(root, _PATH, None, root.span)
        return merged(under, over) if under else over

    def _base(
        self, node: Node, sayer: Document, place: Path, above: tuple[Path, ...]
    ) -> Node | None:
        """The whole of a file that is extended; None where it is not to be had, which is said."""
        file = os.path.normpath(Path(sayer.file).parent / node.value)
        path = Path(os.path.normpath(place.parent / node.value))
        if wrong := _refusal(node.value, path, above):
            self.problems.append(node.span.problem(*wrong))
        elif path not in self._roots:
            try:
                data = path.read_bytes() if path.is_file() else None
            except OSError as error:
                self.problems.append(node.span.problem(f"{file} cannot be read: {error.strerror}"))
                return None
            if data is None:
                hint = f"a path is relative to the file that says it, {sayer.file}"
                self.problems.append(node.span.problem(f"there is no file {file}", hint))
                return None
            self.bases[path] = Base(path, data)
            self._roots[path] = self._read(data, file, path, above)
        return self._roots.get(path)

    def _read(self, data: bytes, file: str, path: Path, above: tuple[Path, ...]) -> Node | None:
        document = parse_document(data, file)
        self.problems += document.problems
        if document.root is None or not isinstance(document.value, dict):
            if not document.problems:
                wrong = (
                    "is empty"
                    if document.value is None
                    else f"must be a mapping, not {kind_of(document.value)}"
                )
                self.problems.append(
                    document.problem((), f"what is extended {wrong}", "write keys and values")
                )
            return None
        return self.laid_over(document, path, above)


def _refusal(written: str, path: Path, above: tuple[Path, ...]) -> tuple[str, str | None] | None:
    """What is wrong with naming a base so, and what to do."""
    if not written.isprintable() or not written.endswith(SUFFIXES):
        return f"'{written}' is no path of a YAML file", "its name ends in .yaml or .yml"
    if path in above:
        circle = " extends ".join(file.name for file in (*above[above.index(path) :], path))
        return f"a file cannot extend itself: {circle}", "move what they share to a third file"
    if len(above) > DEEPEST:
        return f"more than {DEEPEST} files extend one another", None
    return None


def _place(file: Path) -> Path:
    """Where a file is, by its own name: what it extends is beside the name, not beside what a link leads to."""
    return file.parent.resolve() / file.name


def bases_named(data: bytes, path: str) -> Iterator[str]:
    """The paths that a file at `path` of a tree extends, relative to the tree."""
    if b"extends" in data:
        for node in written_bases(parse_document(data, "")):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), node.value))
