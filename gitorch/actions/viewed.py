"""`gitorch open`: a copy of an output for the programs of the desktop."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from gitorch.actions.outputs import open_output
from gitorch.errors import Refused
from gitorch.storage.site import Site

_READ_ONLY = 0o400
# Other characters of a name become `_`. The end of the name says which program opens the file.
_UNSAFE = re.compile(r"[^\w.=,+@ -]+")
_LONGEST_NAME = 150  # characters


def copy_for_viewing(site: Site, reference: str, path: str) -> Path:
    """Copy an output into a new temporary directory, read-only, and return the copy's path.

    The copy stays, since the program that shows it may run on. Raises NotFound, Refused.
    """
    name = _UNSAFE.sub("_", path.rsplit("/", 1)[-1]).lstrip(".-")
    with open_output(site, reference, path) as file:
        try:
            directory = Path(tempfile.mkdtemp(prefix="gitorch-open-"))
            copy = directory / (name[-_LONGEST_NAME:] or "output")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(copy, flags, _READ_ONLY), "wb") as target:
                shutil.copyfileobj(file, target, 1 << 20)
        except OSError as error:
            raise Refused(f"{path} cannot be copied: {error}") from error
    return copy
