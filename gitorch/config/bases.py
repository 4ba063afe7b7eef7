"""`extends`: a config laid over the files that it extends, which are its bases."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gitorch.config.document import (
    Document,
    KeyPath,
    Node,
    graft,
    kind_in_words,
    mapping_node,
)
from gitorch.config.yaml_parser import parse_document
from gitorch.model.problem import Problem
from gitorch.tools.files import resolved
from gitorch.tools.untrusted import read_plain

SUFFIXES = (".yaml", ".yml")
LARGEST_CONFIG = 4 << 20  # bytes
DEEPEST = 50  # files that extend one another
_EXTENDS = ("gitorch", "extends")
_HOW = (
    "write the path of a YAML file, relative to this one, or a list of such paths"
)


class Base(NamedTuple):
    """A file that a config extends, directly or through another base."""

    path: Path
    data: bytes


class Extended(NamedTuple):
    """A document laid over its bases. `is_whole` is True if all bases could be read."""

    document: Document
    bases: tuple[Base, ...] = ()
    is_whole: bool = True


def extend(document: Document) -> Extended:
    """Return a document laid over its bases. This never raises.

    The merge is deep: mappings are merged, lists and scalars are replaced, and null drops a key
    (RFC 7396). Every value keeps its position in the file that it came from.
    """
    if document.node(_EXTENDS) is None:
        return Extended(document)
    extension = _Extension()
    path = _path_by_name(Path(document.file))
    root = extension.lay_over_bases(document, path, ())
    problems = (*document.problems, *extension.problems)
    return Extended(
        Document(document.source, root, problems),
        tuple(extension.bases.values()),
        extension.is_whole,
    )


def merge(base: Node | None, patch: Node, position: KeyPath = ()) -> Node:
    """Merge two nodes by RFC 7396 (JSON Merge Patch). Every value keeps its span.

    `position` is that of the nodes. A null under `gitorch` is kept: a key that is null there counts
    as missing, and says that a key of the same name outside is a parameter.
    """
    if not isinstance(patch.children, dict):
        return patch
    children = {}
    if base and isinstance(base.children, dict):
        children.update(base.children)
    for name, (key, node) in patch.children.items():
        is_kept = position == ("gitorch",) and node.is_null
        if node.value is None and not is_kept:
            children.pop(name, None)
            continue
        base_node = None
        if name in children:
            _, base_node = children[name]
        children[name] = key, merge(base_node, node, (*position, name))
    return mapping_node(children, patch.span)


def written_bases(document: Document) -> Iterator[Node]:
    """Yield the nodes of the texts under `extends`, and omit other values."""
    node = document.node(_EXTENDS)
    if node is None:
        return
    items = [node]
    if isinstance(node.children, list):
        items = node.children
    for item in items:
        if isinstance(item.value, str):
            yield item


def rename_bases(data: bytes, new_path: Callable[[str], str | None]) -> bytes:
    """Return the text of a config in which the paths of its bases are replaced.

    `new_path` returns the new path of a base, or None if its path does not change.
    """
    document = parse_document(data, "")
    text = document.source.text
    nodes = sorted(written_bases(document), key=lambda node: node.span.start)
    # The last base is replaced first, so that the spans of the bases before it stay valid.
    for node in reversed(nodes):
        path = new_path(node.value)
        if path is not None:
            start, end, _ = node.span
            quoted = json.dumps(path, ensure_ascii=False)
            text = text[:start] + quoted + text[end:]
    return text.encode()


def named_bases(data: bytes, path: str) -> Iterator[str]:
    """Yield the paths of the bases of a file. All paths are relative to the same tree."""
    if b"extends" not in data:
        return
    directory = posixpath.dirname(path)
    for node in written_bases(parse_document(data, "")):
        base = posixpath.join(directory, node.value)
        yield posixpath.normpath(base)


class _Extension:
    """The bases that have been read, and the problems with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.bases: dict[Path, Base] = {}
        self.is_whole = True
        self._roots: dict[Path, Node | None] = {}

    def lay_over_bases(
        self, document: Document, path: Path, extenders: tuple[Path, ...]
    ) -> Node | None:
        """Return the root of a document laid over its bases.

        `extenders` are the files that extend this one, the config itself first.
        """
        root = document.root
        extends = document.node(_EXTENDS)
        if root is None or extends is None or extends.is_null:
            return root
        bases = list(written_bases(document))
        expected = 1
        if isinstance(extends.value, list):
            expected = len(extends.value)
        if isinstance(extends.value, dict) or len(bases) != expected:
            kind = kind_in_words(extends.value)
            message = f"'extends' must be text or a list of texts, not {kind}"
            self.problems.append(document.problem(_EXTENDS, message, _HOW))
        extenders_of_bases = (*extenders, path)
        merged: Node | None = None
        for node in bases:
            base = self._base(node, document, path, extenders_of_bases)
            if base is None:
                self.is_whole = False
            elif merged is None:
                merged = base
            else:
                merged = merge(merged, base)
        own = graft(root, _EXTENDS, None, root.span)
        if merged is None:
            return own
        return merge(merged, own)

    def _base(
        self,
        node: Node,
        extender: Document,
        extender_path: Path,
        extenders: tuple[Path, ...],
    ) -> Node | None:
        """Return the root of a base, laid over its own bases.

        Return None, and add a problem, if the base cannot be read.
        """
        file = os.path.normpath(Path(extender.file).parent / node.value)
        absolute = os.path.normpath(extender_path.parent / node.value)
        path = Path(absolute)
        if refusal := _refusal(node.value, path, extenders):
            self.problems.append(node.span.problem(*refusal))
        elif path not in self._roots:
            data = self._read(node, file, path, extender.file)
            if data is None:
                return None
            self.bases[path] = Base(path, data)
            self._roots[path] = self._parse(data, file, path, extenders)
        return self._roots.get(path)

    def _read(
        self, node: Node, file: str, path: Path, extender: str
    ) -> bytes | None:
        try:
            return read_plain(path, LARGEST_CONFIG)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self.problems.append(
                node.span.problem(f"{file} cannot be read: {error.strerror}")
            )
            return None
        hint = f"a path is relative to the file that contains it, {extender}"
        self.problems.append(node.span.problem(f"there is no file {file}", hint))
        return None

    def _parse(
        self, data: bytes, file: str, path: Path, extenders: tuple[Path, ...]
    ) -> Node | None:
        document = parse_document(data, file)
        self.problems += document.problems
        if isinstance(document.value, dict):
            return self.lay_over_bases(document, path, extenders)
        if not document.problems:
            message = (
                f"a base must be a mapping, not {kind_in_words(document.value)}"
            )
            if document.value is None:
                message = "the base is empty"
            self.problems.append(
                document.problem((), message, "write keys and values")
            )
        return None


def _refusal(
    written: str, path: Path, extenders: tuple[Path, ...]
) -> tuple[str, str | None] | None:
    """Return a message and a hint if a file cannot be a base, whatever its content is."""
    if not written.isprintable() or not written.endswith(SUFFIXES):
        return (
            f"'{written}' is not the path of a YAML file",
            "its name ends in .yaml or .yml",
        )
    if path in extenders:
        circle = (*extenders[extenders.index(path) :], path)
        names = " extends ".join(file.name for file in circle)
        return (
            f"a file cannot extend itself: {names}",
            "move what they share to a third file",
        )
    if len(extenders) > DEEPEST:
        return f"more than {DEEPEST} files extend one another", None
    return None


def _path_by_name(file: Path) -> Path:
    """Return the absolute path of a file, without following the file itself if it is a link.

    The paths of bases are relative to the directory of the link, not to that of its target.
    """
    return resolved(file.parent) / file.name
