"""Describes the interpreter it runs in: `python probe_program.py [NAME…]` prints one JSON object.

executable, version, implementation, prefix
packages    {normalised name: version}
path        the entries of sys.path that are directories, including the entries of .pth files
mapped      {module: file or directory} that the finders of editable installs serve
projects    directories of editable installs (PEP 610)
origins     {NAME: file or directory, or null}: where these modules would be imported from
depends_on  files and directories, existing or not, that all this follows from; empty if unknown

The modules are not imported.
"""

from __future__ import annotations

import json
import os
import re
import sys

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any

_DISTRIBUTION = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(-py[\d.]+)?\.(dist-info|egg-info)$")

# The attributes in which the finders of editable installs keep {module: path}: setuptools;
# scikit-build-core; hatch and others (editables).
_MAPPINGS = ("MAPPING", "known_source_files", "_redirections")


def main(names: list[str]) -> None:
    own_directory = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != own_directory]
    path: list[str] = []
    packages: dict[str, str] = {}
    projects: list[str] = []
    for entry in sys.path:
        if entry and os.path.isdir(entry):
            path.append(os.path.abspath(entry))
            _read_distributions(entry, packages, projects)
    answer = {
        "executable": sys.executable,
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "prefix": sys.prefix,
        "packages": packages,
        "path": path,
        "mapped": _mapped_modules(),
        "projects": projects,
        "origins": {name: _origin(name) for name in names},
        "depends_on": _dependencies(),
    }
    json.dump(answer, sys.stdout)


def _read_distributions(directory: str, packages: dict[str, str], projects: list[str]) -> None:
    """Add the distributions in a directory to `packages`, and the editable ones to `projects`.

    Name and version are read from the name of a directory: to read all the metadata takes a hundred
    times as long.
    """
    for entry in sorted(os.listdir(directory)):
        match = _DISTRIBUTION.match(entry)
        if not match:
            continue
        name = re.sub(r"[-_.]+", "-", match.group("name")).lower()
        packages.setdefault(name, match.group("version"))
        try:
            with open(os.path.join(directory, entry, "direct_url.json"), encoding="utf-8") as file:
                source = json.load(file)
        except (OSError, ValueError):
            continue
        is_editable = source.get("dir_info", {}).get("editable")
        if is_editable and source.get("url", "").startswith("file://"):
            from urllib.parse import unquote, urlsplit

            projects.append(unquote(urlsplit(source["url"]).path))


def _dependencies() -> list[str]:
    """Return the paths that `site` looked at when Python started, and the modules loaded since.

    Return an empty list if a sitecustomize or usercustomize ran, which may do anything.
    """
    if "sitecustomize" in sys.modules or "usercustomize" in sys.modules:
        return []
    entries = [os.path.abspath(entry) for entry in sys.path]
    paths = {os.path.realpath(sys.executable), os.path.join(sys.prefix, "pyvenv.cfg"), *entries}
    user_site = getattr(sys.modules.get("site"), "USER_SITE", None)
    if user_site:
        paths.add(user_site)
    for pth_file in _pth_files(entries):
        paths.add(pth_file)
        paths.update(_entries_of_pth(pth_file))
    standard_library = os.path.dirname(os.path.abspath(os.__file__))
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and os.path.dirname(file) != standard_library:
            paths.add(file)
    return sorted(paths)


def _pth_files(directories: list[str]) -> list[str]:
    files: list[str] = []
    for directory in filter(os.path.isdir, directories):
        for name in os.listdir(directory):
            if name.endswith(".pth"):
                files.append(os.path.join(directory, name))
    return files


def _entries_of_pth(path: str) -> list[str]:
    """Return the paths that a .pth file adds to sys.path, without the lines that are executed."""
    directory = os.path.dirname(path)
    with open(path, "rb") as file:
        lines = file.read().decode("utf-8", "replace").splitlines()
    entries = []
    for line in lines:
        if line.strip() and not line.startswith(("#", "import ", "import\t")):
            entries.append(os.path.abspath(os.path.join(directory, line.rstrip())))
    return entries


def _mapped_modules() -> dict[str, str]:
    """Return the modules that the finders of editable installs serve, with their paths."""
    mapped: dict[str, str] = {}
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", "") or "")
        for holder in (finder, module):
            for attribute in _MAPPINGS:
                mapping = getattr(holder, attribute, None)
                if not isinstance(mapping, dict):
                    continue
                for name, path in mapping.items():
                    if isinstance(path, (str, os.PathLike)):
                        mapped[name] = os.fspath(path)
    return mapped


def _origin(name: str) -> str | None:
    """Return where a module would be imported from; packages on the way are not imported."""
    parts = name.split(".")
    path: list[str] | None = None
    origin: str | None = None
    for count in range(1, len(parts) + 1):
        spec = _find_spec(".".join(parts[:count]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
        origin = spec.origin
    if origin and os.path.exists(origin):
        return os.path.abspath(origin)
    return os.path.abspath(path[0]) if path else None


def _find_spec(name: str, path: list[str] | None) -> Any:
    """Return the spec that the first finder has for a module, or None."""
    for finder in sys.meta_path:
        find_spec: Any = getattr(finder, "find_spec", None)
        spec = find_spec(name, path) if find_spec else None
        if spec:
            return spec
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
