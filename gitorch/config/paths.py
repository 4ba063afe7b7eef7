"""Paths in a config, which must stay inside the repository."""

from __future__ import annotations

import errno
import posixpath
from pathlib import Path, PurePosixPath

from gitorch.model.text.globs import flaw
from gitorch.tools.files import resolved


class BadPath(ValueError):
    """A path that leads out of its directory, or an invalid glob. The text says why."""

    def __init__(self, why: str, hint: str | None = None) -> None:
        super().__init__(why)
        self.hint = hint


def path_in_repository(root: Path | None, text: str) -> str:
    """Return the path `text` relative to the `root` of the work tree, in POSIX form.

    The root itself is ".". An absolute path inside the root is accepted, and the file does not have
    to exist. Raises BadPath if the path leads out of the root, by name or through a symbolic link,
    or into git's own directory.
    """
    if text.startswith("/"):
        text = _relative_to(root, text)
    path = relative_path(text)
    if root is not None and not _stays_inside(root, path):
        raise BadPath("is a symbolic link that leads out of the repository")
    return path


def relative_path(text: str) -> str:
    """Return a relative path in normal form.

    Raises BadPath if it leads out of the directory that it is relative to.
    """
    if "\0" in text:
        raise BadPath("holds a NUL character, which no path can")
    if text.startswith("/"):
        raise BadPath("is absolute")
    if text == "~" or text.startswith("~/"):
        raise BadPath("starts in your home directory")
    parts = PurePosixPath(text).parts
    if ".." in parts:
        raise BadPath("leads outside by '..'")
    if parts and parts[0].lower() == ".git":
        raise BadPath("is git's own directory")
    return posixpath.normpath(text)


def relative_glob(text: str) -> str:
    """Return a relative glob in normal form.

    Raises BadPath if it leads out of the directory that it is relative to, or is invalid.
    """
    return _valid_glob(relative_path(text))


def input_path(text: str) -> str:
    """Return a path or glob of data in normal form: relative, absolute, or beginning with `~/`.

    Raises BadPath if it is relative and leads out of the repository, or is an invalid glob.
    """
    if not text.startswith(("/", "~/")):
        return relative_glob(text)
    if "\0" in text:
        raise BadPath("holds a NUL character, which no path can")
    names = [name for name in text.split("/") if name not in ("", ".")]
    path = "/".join(names)
    if text.startswith("/"):
        path = f"/{path}"
    return _valid_glob(path)


def _valid_glob(text: str) -> str:
    if reason := flaw(text):
        raise BadPath(
            f"is not a glob: {reason}", "a [ that stands for itself is written [[]"
        )
    return text


def _relative_to(root: Path | None, text: str) -> str:
    """Return an absolute path relative to `root`, even if one of them contains symbolic links."""
    if root is not None:
        path = Path(text)
        real_path, real_root = _resolved(path), _resolved(root)
        for spelling, base in (
            (path, root),
            (path, real_root),
            (real_path, real_root),
        ):
            if spelling and base and spelling.is_relative_to(base):
                return str(spelling.relative_to(base))
    raise BadPath("is outside the repository")


def _stays_inside(root: Path, path: str) -> bool:
    if path == ".":
        return True
    real_path, real_root = _resolved(root / path), _resolved(root)
    if real_path is None or real_root is None:
        return False
    return real_path.is_relative_to(real_root)


def _resolved(path: Path) -> Path | None:
    """Return the path without links, or None if it has links that lead to themselves."""
    try:
        real = resolved(path)
    except ValueError:  # a NUL character
        return None
    try:
        real.stat()
    except OSError as error:
        return None if error.errno == errno.ELOOP else real
    return real
