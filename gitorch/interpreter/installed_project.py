"""The project itself as a distribution that is installed as a copy, so that its code is not pinned.

Such a copy (`pip install .`, a wheel, an address of its repository) is what the project's code was
when it was installed. Runs import the committed modules instead, because their directories come
first on the PYTHONPATH. Modules that the commit does not have would still come from the copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

# Where a project gives its name, and what gives it.
_NAMES = (
    (
        "pyproject.toml",
        r"^\[(?:project|tool\.poetry)\](?:(?!^\[).)*?^name\s*=\s*[\"']([\w.-]+)",
    ),
    ("setup.cfg", r"^\[metadata\](?:(?!^\[).)*?^name\s*=\s*([\w.-]+)"),
    ("setup.py", r"\bname\s*=\s*[\"']([\w.-]+)[\"']"),
)
_COMPILED = (".so", ".pyd")


class Copy(Struct, frozen=True):
    """A distribution of the project. `modules` are its files, relative to the directory `site`."""

    name: str
    site: Path
    modules: tuple[str, ...]

    @property
    def top_level(self) -> list[str]:
        """Return the names of its packages and modules, as files or directories."""
        return sorted({PurePosixPath(name).parts[0] for name in self.modules})


def copies(
    packages: Mapping[str, str],
    sources: Mapping[str, Mapping[str, Any]],
    path: Sequence[str],
    main_root: Path,
) -> list[Copy]:
    """Return the distributions of the project among the packages, with the modules that they have.

    An editable one has no modules.
    """
    names = {own_name(main_root)}
    for name, source in sources.items():
        address = urlsplit(source.get("url", ""))
        is_here = Path(unquote(address.path)).is_relative_to(main_root)
        if address.scheme == "file" and is_here and "sha256" not in source:
            names.add(name)
    found = []
    for name in sorted(names & packages.keys()):
        for directory in path:
            modules = tuple(_modules_of(name, Path(directory)))
            if modules:
                found.append(Copy(name, Path(directory), modules))
                break
    return found


def roots_of_copy(copy: Copy, root: Path) -> Iterator[Path]:
    """Yield the directories of a source tree that have the modules of the copy."""
    for name in copy.top_level:
        directory = _directory_with(root, name)
        if directory is not None:
            yield directory


def only_in_copy(copy: Copy, tree: Path) -> str | None:
    """Return a module of the copy that a source tree lacks, so that it would not be pinned.

    These are a whole package, a module beside the packages, and a compiled module.
    """
    for name in copy.top_level:
        if _directory_with(tree, name) is None:
            return name
    for name in copy.modules:
        if name.endswith(_COMPILED):
            directory = _directory_with(tree, PurePosixPath(name).parts[0])
            if directory is not None and not (directory / name).exists():
                return name
    return None


def own_name(root: Path) -> str:
    """Return the normalised name of the project, empty if it has none."""
    for file, pattern in _NAMES:
        with suppress(OSError):
            text = (root / file).read_text("utf-8", "replace")
            match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
            if match:
                return _normalised(match[1])
    return ""


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _modules_of(name: str, site: Path) -> Iterator[str]:
    """Yield the paths of the modules that a distribution in the directory `site` lists."""
    infos: list[Path] = []
    with suppress(OSError):
        infos = list(site.glob("*.dist-info"))
    for info in infos:
        if _normalised(info.name.rpartition("-")[0].rpartition("-")[0]) != name:
            continue
        text = ""
        with suppress(OSError):
            text = (info / "RECORD").read_text("utf-8", "replace")
        for line in text.splitlines():
            path = line.rsplit(",", 2)[0].strip('"')
            top = path.partition("/")[0].partition(".")[0]
            is_module = path.endswith((".py", *_COMPILED)) and top.isidentifier()
            if is_module and not top.startswith("__editable__"):
                yield path


def _directory_with(root: Path, name: str) -> Path | None:
    """Return the directory of a source tree, or of one level below, that has a file or directory.

    The tree itself is the first, and `src` the second.
    """
    below = []
    with suppress(OSError):
        below = sorted(path for path in root.iterdir() if path.is_dir())
    for directory in (root, root / "src", *below):
        if (directory / name).exists() and not directory.name.startswith("."):
            return directory
    return None
