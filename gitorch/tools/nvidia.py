"""The NVIDIA GPUs of this machine, as nvidia-smi reports them."""

from __future__ import annotations

import os
import re
import shutil
from functools import lru_cache

from gitorch.tools.programs import TookTooLong, run_program

_ANSWER_S = 10  # nvidia-smi can hang when a GPU has failed


@lru_cache
def gpus() -> tuple[str, ...]:
    """Return the name and the driver version of each GPU, in the order of the GPUs' indexes.

    Return an empty tuple if nvidia-smi is missing or fails. The program is called only once, since
    it starts slowly on machines that do not keep the driver loaded.
    """
    answer = _ask("--query-gpu=name,driver_version", "--format=csv,noheader")
    return tuple(answer.splitlines())


@lru_cache
def cuda_version() -> str | None:
    """Return the version of CUDA that the driver has, or None if there is no GPU."""
    if not gpus():
        return None
    # No field of --query-gpu has the version. It is at the head of every other answer.
    found = re.search(r"CUDA Version\s*:\s*([\d.]+)", _ask("-q", "-d", "COMPUTE"))
    return found[1] if found else None


def _ask(*arguments: str) -> str:
    """Return the answer of nvidia-smi, empty if it is missing or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        answer = run_program(
            [program, *arguments],
            env=os.environ,
            awaited="nvidia-smi",
            bound_s=_ANSWER_S,
        )
    except (OSError, TookTooLong):
        return ""
    return "" if answer.returncode else answer.stdout.decode("utf-8", "replace")
