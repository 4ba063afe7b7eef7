"""Describes the interpreter that runs it: `python probe_program.py DESCRIPTOR [NAME…]`.

The program writes a JSON object to the open file with the number DESCRIPTOR. Standard output is not
used, because the interpreter's start-up files and its exit handlers may print there.

executable, version, implementation, prefix
packages    {normalised name: version}
path        the entries of sys.path that are directories, including the entries of .pth files
mapped      {module: file or directory} of the modules that the finders of editable installs find,
            or that are links in a directory of sys.path
projects    directories of editable installs (PEP 610)
sources     {normalised name: origin} of the distributions that do not come from an index (PEP 610)
origins     {NAME: file or directory, or null}: the place that each module would be imported from
depends_on  files and directories, existing or not, that determine the answer; empty if unknown

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

_DISTRIBUTION = re.compile(
    r"(?P<name>.+?)-(?P<version>[^-]+)(-py[\d.]+)?\.(dist-info|egg-info)$"
)

# The attributes in which the finders of editable installs keep {module: path}: setuptools;
# scikit-build-core; hatch and others (editables).
_MAPPINGS = ("MAPPING", "known_source_files", "_redirections")


def main(descriptor: int, names: list[str]) -> None:
    """Write the answer, with the origins of the modules `names`."""
    own_directory = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != own_directory]
    path: list[str] = []
    packages: dict[str, str] = {}
    projects: list[str] = []
    sources: dict[str, dict[str, Any]] = {}
    linked: dict[str, str] = {}
    for entry in sys.path:
        if entry and os.path.isdir(entry):
            path.append(os.path.abspath(entry))
            _read_distributions(entry, packages, projects, sources)
            _read_links(entry, linked)
    origins = {}
    for name in names:
        origins[name] = _origin(name)
    major, minor, micro = sys.version_info[:3]
    answer = {
        "executable": sys.executable,
        "version": f"{major}.{minor}.{micro}",
        "implementation": sys.implementation.name,
        "prefix": sys.prefix,
        "packages": packages,
        "path": path,
        "mapped": {**linked, **_mapped_modules()},
        "projects": projects,
        "sources": sources,
        "origins": origins,
        "depends_on": _dependencies(),
    }
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(answer, file)


def _read_distributions(
    directory: str,
    packages: dict[str, str],
    projects: list[str],
    sources: dict[str, dict[str, Any]],
) -> None:
    """Add the distributions in a directory to `packages`, the editable ones to `projects`.

    `sources` gets the origins of those that do not come from an index. The name and the version are
    read from the name of the distribution's directory. Reading the metadata of all distributions
    would take a hundred times as long.
    """
    for entry in sorted(_entries(directory)):
        match = _DISTRIBUTION.match(entry)
        if not match:
            continue
        name, version = match.group("name", "version")
        normalised_name = re.sub(r"[-_.]+", "-", name).lower()
        is_shadowed = normalised_name in packages
        packages.setdefault(normalised_name, version)
        path = os.path.join(directory, entry, "direct_url.json")
        try:
            with open(path, encoding="utf-8") as file:
                source = _source(json.load(file))
        except (OSError, ValueError, AttributeError, TypeError):
            continue
        if not is_shadowed:
            sources[normalised_name] = source
        url = source["url"]
        if source.get("editable") and url.startswith("file://"):
            from urllib.parse import unquote, urlsplit

            projects.append(unquote(urlsplit(url).path))


def _read_links(directory: str, linked: dict[str, str]) -> None:
    """Add the modules in a directory that are links, with the paths that they lead to."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                name = entry.name[:-3] if entry.name.endswith(".py") else entry.name
                if entry.is_symlink() and name.isidentifier():
                    linked.setdefault(name, os.path.realpath(entry.path))
    except OSError:
        pass


def _source(document: Any) -> dict[str, Any]:
    """Return what a direct_url.json says about the origin of a distribution."""
    vcs = document.get("vcs_info", {})
    archive = document.get("archive_info", {})
    found = {
        "url": _without_password(document.get("url", "")),
        "editable": document.get("dir_info", {}).get("editable") or None,
        "vcs": vcs.get("vcs"),
        "commit": vcs.get("commit_id"),
        "revision": vcs.get("requested_revision"),
        "sha256": _sha256(archive),
        "subdirectory": document.get("subdirectory"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _without_password(url: str) -> str:
    """Return the address without its password. The name of a user stays only for ssh."""

    def kept(match: re.Match[str]) -> str:
        scheme, user = match.group("scheme", "user")
        return f"{scheme}://{user}@" if scheme.endswith("ssh") else f"{scheme}://"

    return re.sub(r"^(?P<scheme>[^:/]+)://(?P<user>[^/@:]*)(:[^/@]*)?@", kept, url)


def _sha256(archive: dict[str, Any]) -> str | None:
    digest: str | None = archive.get("hashes", {}).get("sha256")
    if digest is None and archive.get("hash", "").startswith("sha256="):
        digest = archive["hash"][len("sha256=") :]
    return digest


def _entries(directory: str) -> list[str]:
    """Return the names in a directory; none if it cannot be listed, as for Python's own finders."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _dependencies() -> list[str]:
    """Return the paths that `site` read when Python started, and the files of the loaded modules.

    Return an empty list if a sitecustomize or usercustomize ran, since it may do anything.
    """
    if "sitecustomize" in sys.modules or "usercustomize" in sys.modules:
        return []
    entries = [os.path.abspath(entry) for entry in sys.path]
    paths = set(entries)
    paths.add(os.path.realpath(sys.executable))
    paths.add(os.path.join(sys.prefix, "pyvenv.cfg"))
    site = sys.modules.get("site")
    user_site = getattr(site, "USER_SITE", None)
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
    for directory in directories:
        for name in _entries(directory):
            if name.endswith(".pth"):
                files.append(os.path.join(directory, name))
    return files


def _entries_of_pth(path: str) -> list[str]:
    """Return the paths that a .pth file adds to sys.path, and ignore its lines of code."""
    directory = os.path.dirname(path)
    with open(path, "rb") as file:
        text = file.read().decode("utf-8", "replace")
    entries = []
    for line in text.splitlines():
        is_comment_or_code = line.startswith(("#", "import ", "import\t"))
        if line.strip() and not is_comment_or_code:
            entry = os.path.join(directory, line.rstrip())
            entries.append(os.path.abspath(entry))
    return entries


def _mapped_modules() -> dict[str, str]:
    """Return the modules that the finders of editable installs find, with their paths."""
    mapped: dict[str, str] = {}
    for finder in sys.meta_path:
        module_name = getattr(finder, "__module__", None)
        module = sys.modules.get(module_name or "")
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
    """Return the path that a module would be imported from, without importing its packages.

    Return None if the module would not be found.
    """
    parts = name.split(".")
    path: list[str] | None = None
    origin: str | None = None
    for count in range(1, len(parts) + 1):
        ancestor = ".".join(parts[:count])
        spec = _find_spec(ancestor, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
        origin = spec.origin
    if origin and os.path.exists(origin):
        return os.path.abspath(origin)
    if path:  # a package without __init__.py
        return os.path.abspath(path[0])
    return None


def _find_spec(name: str, path: list[str] | None) -> Any:
    """Return the spec of a module by the first finder that has one, or None if none has."""
    for finder in sys.meta_path:
        find_spec: Any = getattr(finder, "find_spec", None)
        if not find_spec:
            continue
        spec = find_spec(name, path)
        if spec:
            return spec
    return None


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
