"""The setting `metrics`: globs of files, and mappings that also say how the files are read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

from gitorch.config.document import KeyPath
from gitorch.config.paths import relative_glob, relative_path
from gitorch.config.reader import Reader
from gitorch.config.schema import hint_on
from gitorch.model.run.spec import MetricSource

_PLACE = "name files in the output directory, or files that 'outputs' keeps, relative to it"
_KINDS = ("json", "csv", "tensorboard", "dvclive", "log")


def read_metrics(reader: Reader, position: KeyPath) -> tuple[str, ...]:
    """Return the globs at a position."""
    globs = []
    for entry_position, entry in _entries(reader, position).items():
        if isinstance(entry, str):
            glob = reader.path(entry_position, entry, relative_glob, _PLACE)
            if glob is not None:
                globs.append(glob)
    return tuple(globs)


def read_metric_sources(
    reader: Reader, position: KeyPath
) -> tuple[MetricSource, ...]:
    """Return the sources that are written as mappings at a position."""
    sources = []
    for entry_position, entry in _entries(reader, position).items():
        if isinstance(entry, Mapping):
            source = _read_source(reader, entry_position, entry)
            if source is not None:
                sources.append(source)
    return tuple(sources)


def _entries(reader: Reader, position: KeyPath) -> dict[KeyPath, Any]:
    """Return the well-shaped entries by their positions. One entry needs no list."""
    written = reader.get(*position)
    if isinstance(written, str | Mapping):
        return {position: written}
    children = reader.children(position).items()
    return {(*position, index): entry for index, entry in children}


def _read_source(
    reader: Reader, position: KeyPath, entry: Mapping[str, Any]
) -> MetricSource | None:
    kinds = [kind for kind in _KINDS if kind in entry]
    if len(kinds) != 1:
        message = f"an entry of 'metrics' has one of the keys {', '.join(_KINDS)}"
        reader.complain(position, message, hint_on("metrics"))
        return None
    [kind] = kinds
    step = entry.get("step")
    if step is not None and kind != "csv":
        message = f"'step' names a column of a CSV file, and this is '{kind}'"
        hint = "in 'log', name the group that holds the step (?P<step>...)"
        reader.complain((*position, "step"), message, hint, key=True)
    pattern = entry[kind]
    kind_position = (*position, kind)
    if kind == "log":
        return _read_log(reader, kind_position, pattern)
    normalise = relative_path if kind == "dvclive" else relative_glob
    path = reader.path(kind_position, pattern, normalise, _PLACE)
    if path is None:
        return None
    return MetricSource.from_json({"kind": kind, "pattern": path, "step": step})


def _read_log(
    reader: Reader, position: KeyPath, expression: str
) -> MetricSource | None:
    hint = (
        r"write it in quotes, with a named group: {log: 'loss: (?P<loss>[\d.]+)'}"
    )
    try:
        with warnings.catch_warnings(action="ignore"):
            groups = re.compile(expression).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        message = f"'log' is not a regular expression of Python: {error}"
        reader.complain(position, message, hint)
        return None
    if not set(groups) - {"step"}:
        message = (
            "'log' has no named group, and a group's name is the metric's name"
        )
        reader.complain(position, message, hint)
        return None
    return MetricSource(kind="log", pattern=expression)
