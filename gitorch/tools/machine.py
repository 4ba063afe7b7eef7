"""Facts about this machine and this process that can change the results of programs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

_ZONES = "/zoneinfo/"


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
