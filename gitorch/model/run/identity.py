"""The identity of a run: two runs with the same params, tasks, code and data are the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from gitorch.model.json_struct import without_empty
from gitorch.model.run.record import Data
from gitorch.model.run.spec import RunSpec

# Keys that say where and how a run is computed, not what: they do not make another run.
_IGNORED_IN_DOCUMENT = (
    "githubRepository",
    "outputDir",
    "overwriteOutputFine",
    "UNSAFE_ignoreDirtyCheck",
)
_IGNORED_IN_SPEC = ("name", "output_dir", "swept", "code")
# Settings of a task that say when it runs, with which resources, and what is kept of it.
_IGNORED_IN_TASKS = (
    "timeout_s",
    "retries",
    "priority",
    "resources",
    "cache",
    "discard",
)


def run_identity(spec: RunSpec, code: str, data: Sequence[Data] = ()) -> str:
    """Return a SHA-256, in hex, of what the run computes: with this code, from this data."""
    document = {}
    for key, value in spec.document.items():
        if key not in (*_IGNORED_IN_DOCUMENT, "tasks"):
            document[key] = value
    resolved = {
        key: value
        for key, value in spec.to_json().items()
        if key not in _IGNORED_IN_SPEC
    }
    computed: dict[str, Any] = {**resolved, "document": document, "code": code}
    computed |= without_empty(
        {"data": [(entry.path, entry.sha256) for entry in data]}
    )
    for task in computed["tasks"]:
        for key in _IGNORED_IN_TASKS:
            task.pop(key, None)
    return digest(computed)


def digest(value: Any) -> str:
    """Return a SHA-256, in hex, of a JSON value."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, ensure_ascii=True).encode()
    ).hexdigest()
