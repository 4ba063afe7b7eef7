"""The secrets of a worker's environment, in a file that its owner alone can read.

The logs of a worker that was killed are committed, or shown, by a process whose environment may
lack these secrets. The file exists while the worker is registered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gitorch.storage.liveness import WorkerFiles
from gitorch.tools.files import write_aside
from gitorch.tools.untrusted import read_plain

_LARGEST = 1 << 24  # bytes, more than an environment can have


def keep_secrets(locks: WorkerFiles, secrets: Sequence[str]) -> None:
    """Write the file, unless there are no secrets."""
    if secrets:
        text = json.dumps(secrets)
        write_aside(locks.secrets, text.encode(), mode=0o600)


def kept_secrets(locks: WorkerFiles) -> list[str]:
    """Return the secrets, none if the file does not exist or is damaged."""
    try:
        found = json.loads(read_plain(locks.secrets, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(found, list):
        return []
    return [secret for secret in found if isinstance(secret, str)]
