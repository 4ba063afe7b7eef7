"""The NVIDIA GPUs of this machine, as nvidia-smi reports them."""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache

_ANSWER_S = 10  # nvidia-smi can hang when a GPU has failed


@lru_cache
def gpus() -> tuple[str, ...]:
    """Return the name and the driver version of each GPU, in the order of the GPUs' indexes.

    Return an empty tuple if nvidia-smi is missing or fails. The program is called only once, since
    it starts slowly on machines that do not keep the driver loaded.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(answer.stdout.splitlines())
