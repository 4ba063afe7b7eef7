"""When two runs are the same run: the same resolved params and tasks, the same code, and the same data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from gitorch.model.json_struct import without_empty
from gitorch.model.run.record import Data
from gitorch.model.run.spec import RunSpec

# Keys of the document that say where and how, not what: they do not make it another run.
_ASIDE = ("githubRepository", "outputDir", "overwriteOutputFine", "UNSAFE_ignoreDirtyCheck")
_ASIDE_OF_SPEC = ("name", "output_dir", "swept", "code")
# Settings of a task that say when and with what means it runs, or what is kept of it: neither do they.
_ASIDE_OF_TASKS = ("timeout_s", "retries", "priority", "resources", "cache", "discard")


def run_identity(spec: RunSpec, code: str, data: Sequence[Data] = ()) -> str:
    """A SHA-256, in hex, of what the run computes; `code` identifies the code it is computed with, `data` what from."""
    document = {key: value for key, value in spec.document.items() if key not in (*_ASIDE, "tasks")}
    resolved = {key: value for key, value in spec.to_json().items() if key not in _ASIDE_OF_SPEC}
    what: dict[str, Any] = {**resolved, "document": document, "code": code}
    what |= without_empty({"data": [(entry.path, entry.sha256) for entry in data]})
    for task in what["tasks"]:
        for key in _ASIDE_OF_TASKS:
            task.pop(key, None)
    return digest(what)


def digest(value: Any) -> str:
    """A SHA-256, in hex, of a value of JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
