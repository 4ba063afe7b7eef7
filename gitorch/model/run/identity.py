"""The identity of a run: two runs with the same params, tasks, code and data are the same run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gitorch.model.json_struct import without_empty
from gitorch.model.run.record import Data
from gitorch.model.run.shell import DEFAULTS
from gitorch.model.run.spec import RunSpec

# Keys that say where or how a run is computed. They do not change what is computed, so they are not
# part of its identity.
_IGNORED_IN_DOCUMENT = (
    "githubRepository",
    "outputDir",
    "overwriteOutputFine",
    "UNSAFE_ignoreDirtyCheck",
)
_IGNORED_IN_SPEC = (
    "name",
    "output_dir",
    "swept",
    "changed",
    "code",
    "environment",
)
# Settings of a task that say when and where it runs, with which resources, and what is kept.
_IGNORED_IN_TASKS = (
    "timeout_s",
    "retries",
    "priority",
    "resources",
    "cache",
    "discard",
    "volatile",
    "steps",
    "engine",
    "slurm",
    "ship",
)


def run_identity(spec: RunSpec, code: str, data: Sequence[Data] = ()) -> str:
    """Return a SHA-256, in hex, of the spec without the ignored keys, the code and the data."""
    document = {}
    for key, value in spec.document.items():
        if key not in (*_IGNORED_IN_DOCUMENT, "tasks"):
            document[key] = value
    computed: dict[str, Any] = {}
    for key, value in spec.to_json().items():
        if key not in _IGNORED_IN_SPEC:
            computed[key] = value
    computed["document"] = document
    computed["code"] = code
    digests = [(entry.path, entry.identity) for entry in data]
    computed |= without_empty({"data": digests})
    for task in computed["tasks"]:
        for key in _IGNORED_IN_TASKS:
            task.pop(key, None)
        # A config that names no shell stays the same run on a machine without bash, and the same
        # as before shells were recorded.
        if task.get("shell") in DEFAULTS:
            del task["shell"]
    return digest(computed)


def digest(value: Any) -> str:
    """Return a SHA-256, in hex, of a JSON value."""
    import hashlib  # noqa: PLC0415  loads OpenSSL in 4 ms, which showing does not need

    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
