"""Paths that a config names, which must stay inside the repository."""

from __future__ import annotations

import posixpath
from pathlib import Path, PurePosixPath

from gitorch.model.text.globs import flaw


class Misplaced(ValueError):
    """A path that leads out of where it belongs, or a glob that is none; the text says why."""

    def __init__(self, why: str, hint: str | None = None) -> None:
        super().__init__(why)
        self.hint = hint


def place_in(root: Path | None, text: str) -> str:
    """`text` relative to the work tree's `root`, in POSIX form, "." for the root itself.

    An absolute path inside the root is accepted. Raises Misplaced for anything that leads out of it, by name or
    through a symbolic link, or into git's own directory. Nothing need exist.
    """
    place = relative_place(_under(root, text) if text.startswith("/") else text)
    if root is not None and not _stays(root, place):
        raise Misplaced("is a symbolic link that leads out of the repository")
    return place


def relative_place(text: str) -> str:
    """A relative path, made normal. Raises Misplaced where it leads out of the directory it is relative to."""
    if "\0" in text:
        raise Misplaced("holds a NUL character, which no path can")
    if text.startswith("/"):
        raise Misplaced("is absolute")
    if text == "~" or text.startswith("~/"):
        raise Misplaced("starts in your home directory")
    parts = PurePosixPath(text).parts
    if ".." in parts:
        raise Misplaced("leads outside by '..'")
    if parts and parts[0].lower() == ".git":
        raise Misplaced("is git's own directory")
    return posixpath.normpath(text)


def relative_glob(text: str) -> str:
    """The same of a glob. Raises Misplaced also where it is none."""
    return _sound_glob(relative_place(text))


def input_place(text: str) -> str:
    """A path or glob of data: relative, or as it is where it begins at the root or in the home directory."""
    if not text.startswith(("/", "~/")):
        return relative_glob(text)
    if "\0" in text:
        raise Misplaced("holds a NUL character, which no path can")
    names = [name for name in text.split("/") if name not in ("", ".")]
    return _sound_glob(f"/{'/'.join(names)}" if text.startswith("/") else "/".join(names))


def _sound_glob(text: str) -> str:
    if wrong := flaw(text):
        raise Misplaced(f"is no glob: {wrong}", "a [ that stands for itself is written [[]")
    return text


def _under(root: Path | None, text: str) -> str:
    """What follows the root in an absolute path that begins with it, however the root is spelt."""
    if root is not None:
        path, home = Path(text), _resolved(root)
        for spelt, base in ((path, root), (path, home), (_resolved(path), home)):
            if spelt is not None and base is not None and spelt.is_relative_to(base):
                return str(spelt.relative_to(base))
    raise Misplaced("is outside the repository")


def _stays(root: Path, place: str) -> bool:
    target, home = _resolved(root / place), _resolved(root)
    return target is not None and home is not None and target.is_relative_to(home)


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve()
    except (
        OSError,
        RuntimeError,
        ValueError,
    ):  # a loop of links is a RuntimeError up to 3.12, a NUL a ValueError
        return None
