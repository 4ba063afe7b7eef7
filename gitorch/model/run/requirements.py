"""A requirements file for pip and uv, made from a recorded environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gitorch.model.text.masking import MASK

# What PEP 508 and PEP 440 allow, as far as installed distributions have it.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\Z", re.IGNORECASE)
_VERSION = re.compile(
    r"v?\d+(?:!\d+)?[a-z0-9._]*(?:\+[a-z0-9._]+)?\Z", re.IGNORECASE
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")


def requirements(environment: Mapping[str, Any], run_id: str) -> str:
    """Return the packages of an environment as requirements, one in a line.

    What pip cannot install is a comment with the reason.
    """
    python = environment.get("python")
    used = f"Python {python}" if python else "no Python is recorded"
    lines = [f"# gitorch env {run_id}: {used}"]
    packages = environment.get("packages", {})
    sources = environment.get("sources", {})
    for name in sorted(packages):
        version = str(packages[name])
        lines.append(_requirement(name, version, sources.get(name)))
    return "\n".join(_one_line(line) for line in lines) + "\n"


def without_requirement(
    environment: Mapping[str, Any], run_id: str
) -> Iterator[str]:
    """Yield the packages that `requirements` has only as comments."""
    for line in requirements(environment, run_id).splitlines()[1:]:
        if line.startswith("# "):
            yield line.removeprefix("# ")


def _requirement(name: str, version: str, source: Any) -> str:
    plain = f"{name}=={version}"
    if not _NAME.match(name):
        return f"# {plain}: not a name that pip accepts"
    if not isinstance(source, Mapping):
        if _VERSION.match(version):
            return plain
        return f"# {plain}: not a version that pip accepts"
    url = str(source.get("url", ""))
    if source.get("editable"):
        return f"# {plain}: installed editable from {url}"
    if re.search(r"\s", url) or MASK in url or "://" not in url:
        return f"# {plain}: its address cannot be used: {url}"
    if url.startswith("file:") and "vcs" not in source:
        return f"# {plain}: installed from {url}, which is on one machine alone"
    return f"{name} @ {_address(url, source)}"


def _address(url: str, source: Mapping[str, Any]) -> str:
    """Return the address from which pip installs exactly what was installed."""
    fragments = []
    vcs, commit = source.get("vcs"), source.get("commit")
    if vcs is not None:
        url = f"{vcs}+{url.removeprefix(f'{vcs}+')}"
        if isinstance(commit, str) and _COMMIT.match(commit):
            url = f"{url}@{commit}"
    if (sha256 := source.get("sha256")) is not None:
        fragments.append(f"sha256={sha256}")
    if (subdirectory := source.get("subdirectory")) is not None:
        fragments.append(f"subdirectory={subdirectory}")
    return f"{url}#{'&'.join(fragments)}" if fragments else url


def _one_line(text: str) -> str:
    """Return the text without control characters, which would begin another line."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "?", text)
