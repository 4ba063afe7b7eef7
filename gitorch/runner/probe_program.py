"""Tells about the interpreter it runs in: `python probe_program.py [NAME…]` prints one JSON object.

executable, version, implementation, prefix
packages    {normalised name: version}
path        the entries of sys.path that are directories, site-packages and what .pth files added included
mapped      {module: file or directory} that editable installs serve by finders of their own
projects    directories of editable installs (PEP 610)
origins     {NAME: file or directory, or null}: where these modules would be imported from; none is imported
depends_on  files and directories, there or not, that all this follows from; empty where that cannot be told
"""

from __future__ import annotations

import json
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DISTRIBUTION = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(-py[\d.]+)?\.(dist-info|egg-info)$")

# Where finders of editable installs keep {module: path}: setuptools; scikit-build-core; hatch and others (editables).
_MAPPINGS = ("MAPPING", "known_source_files", "_redirections")


def main(names: list[str]) -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]
    path = [entry for entry in sys.path if entry and os.path.isdir(entry)]
    packages: dict[str, str] = {}
    projects: list[str] = []
    for entry in path:
        _read_distributions(entry, packages, projects)
    answer = {
        "executable": sys.executable,
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "prefix": sys.prefix,
        "packages": packages,
        "path": [os.path.abspath(entry) for entry in path],
        "mapped": _mapped(),
        "projects": projects,
        "origins": {name: _origin(name) for name in names},
        "depends_on": _dependencies(),
    }
    json.dump(answer, sys.stdout)


def _read_distributions(directory: str, packages: dict[str, str], projects: list[str]) -> None:
    """By the names of their directories: reading all the metadata takes a hundred times as long."""
    for entry in sorted(os.listdir(directory)):
        found = _DISTRIBUTION.match(entry)
        if not found:
            continue
        name = re.sub(r"[-_.]+", "-", found.group("name")).lower()
        packages.setdefault(name, found.group("version"))
        try:
            with open(os.path.join(directory, entry, "direct_url.json"), encoding="utf-8") as file:
                source = json.load(file)
        except (OSError, ValueError):
            continue
        if source.get("dir_info", {}).get("editable") and source.get("url", "").startswith(
            "file://"
        ):
            from urllib.parse import unquote, urlsplit

            projects.append(unquote(urlsplit(source["url"]).path))


def _dependencies() -> list[str]:
    """What `site` has looked at when Python started, and the modules that it has loaded then."""
    if "sitecustomize" in sys.modules or "usercustomize" in sys.modules:
        return []
    entries = [os.path.abspath(entry) for entry in sys.path]
    user = getattr(sys.modules.get("site"), "USER_SITE", None)
    found = {os.path.realpath(sys.executable), os.path.join(sys.prefix, "pyvenv.cfg"), *entries}
    found.update([user] if user else [])
    for directory in filter(os.path.isdir, entries):
        found.update(
            os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".pth")
        )
    for file in [path for path in found if path.endswith(".pth")]:
        with open(file, "rb") as lines:
            for line in lines.read().decode("utf-8", "replace").splitlines():
                if line.strip() and not line.startswith(("#", "import ", "import\t")):
                    found.add(os.path.abspath(os.path.join(os.path.dirname(file), line.rstrip())))
    own = os.path.dirname(os.path.abspath(os.__file__))
    modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    found.update(file for file in modules if file and os.path.dirname(file) != own)
    return sorted(found)


def _mapped() -> dict[str, str]:
    mapped: dict[str, str] = {}
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", "") or "")
        for holder in (finder, module):
            for name in _MAPPINGS:
                mapping = getattr(holder, name, None)
                if isinstance(mapping, dict):
                    mapped.update(
                        {key: os.fspath(value) for key, value in mapping.items() if _is_path(value)}
                    )
    return mapped


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _origin(name: str) -> str | None:
    """Where a module would come from. A package is looked into without being imported."""
    parts = name.split(".")
    path: list[str] | None = None
    origin: str | None = None
    for count in range(len(parts)):
        prefix = ".".join(parts[: count + 1])
        spec = next(filter(None, (_find(finder, prefix, path) for finder in sys.meta_path)), None)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
        origin = spec.origin
    if origin and os.path.exists(origin):
        return os.path.abspath(origin)
    return os.path.abspath(path[0]) if path else None


def _find(finder: Any, name: str, path: list[str] | None) -> Any:
    find_spec = getattr(finder, "find_spec", None)
    return find_spec(name, path) if find_spec else None


if __name__ == "__main__":
    main(sys.argv[1:])
