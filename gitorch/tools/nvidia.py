"""The NVIDIA GPUs of this machine, as nvidia-smi reports them."""

from __future__ import annotations

import os
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
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = run_program(
            command, env=os.environ, awaited="nvidia-smi", bound_s=_ANSWER_S
        )
    except (OSError, TookTooLong):
        return ()
    if answer.returncode:
        return ()
    return tuple(answer.stdout.decode("utf-8", "replace").splitlines())
