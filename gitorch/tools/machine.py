"""Facts about this machine and this process that can change the results of programs.

Standard library only, since the program that carries out an order elsewhere reports them.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_ZONES = "/zoneinfo/"


def facts() -> dict[str, Any]:
    """Return the facts about this machine that a record has, as JSON, without unknown ones."""
    found = {
        "platform": _platform(),
        "machine": os.uname().machine,
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "umask": umask(),
        **_gpus(),
    }
    return {name: fact for name, fact in found.items() if fact is not None}


def _platform() -> str:
    """Return what platform.platform() returns, which starts a program."""
    system = os.uname()
    if system.sysname != "Linux":
        return platform.platform()
    library = "".join(platform.libc_ver())
    name = f"{system.sysname}-{system.release}-{system.machine}"
    return f"{name}-with-{library}" if library else name


@cache
def _gpus() -> dict[str, Any]:
    """Return the GPUs and their version of CUDA, with an import that most machines do not need."""
    if not has_program("nvidia-smi"):
        return {"gpus": []}
    from gitorch.tools import nvidia  # noqa: PLC0415  it takes 5 ms

    return {"gpus": list(nvidia.gpus()), "cuda": nvidia.cuda_version()}


def has_program(name: str) -> bool:
    """Return True if PATH has this program. shutil.which does the same, and is slow to import."""
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if os.access(f"{directory}/{name}", os.X_OK):
            return True
    return False


def cpu_model() -> str | None:
    """Return the name of the CPU, None if the system does not say it (as on some ARM machines)."""
    return _line_of("/proc/cpuinfo", "model name")


def umask() -> str | None:
    """Return the mask of this process in octal digits.

    It is read from a file, since os.umask() would change the mask for all threads.
    """
    return _line_of("/proc/self/status", "Umask")


def locale_name(variables: Mapping[str, str]) -> str:
    """Return the locale that programs with these variables use for texts."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if variables.get(name):
            return variables[name]
    return "C"


def timezone_name(variables: Mapping[str, str]) -> str:
    """Return the time zone of programs with these variables, such as `Europe/Berlin`."""
    if variables.get("TZ"):
        return variables["TZ"]
    _, is_zone, name = os.path.realpath("/etc/localtime").partition(_ZONES)
    return name if is_zone else time.strftime("%Z", time.localtime(0))


def _line_of(path: str, name: str) -> str | None:
    """Return the value in the first line `name: value` of a file."""
    try:
        text = Path(path).read_text("utf-8", "replace")
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
