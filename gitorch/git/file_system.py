"""Settings that say what the file system cannot do, although it can.

`git init` finds out what the file system is capable of, and writes it to the configuration. Users
change these settings to keep git from noticing something.
"""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path

from gitorch.git.neutral import CAPABLE
from gitorch.git.repository import Repository

_FALSE = {"false", "no", "off", "0", ""}


def comparing_settings(repo: Repository) -> dict[str, str]:
    """Return the settings to correct when the user's working tree is compared.

    `core.symlinks` is left out: git has written text files for the links, and they are no edits.
    """
    corrected = checkout_settings(repo)
    corrected.pop("core.symlinks", None)
    return corrected


def checkout_settings(repo: Repository) -> dict[str, str]:
    """Return the settings to correct when the files of a worktree are written."""
    wrong: list[str] = []
    for name, capable in CAPABLE.items():
        configured = repo.git_config.get(name.lower())
        if configured and is_true(configured[-1]) != is_true(capable.value):
            wrong.append(name)
    if not wrong:
        return {}
    capabilities = _capabilities(repo.common_dir)
    return {name: CAPABLE[name].value for name in wrong if name in capabilities}


def is_true(value: str) -> bool:
    """Return the value of a setting that is true or false (git-config(1), "boolean")."""
    return value.lower() not in _FALSE


@lru_cache(maxsize=4)
def _capabilities(directory: Path) -> frozenset[str]:
    """Return the names of the settings whose value in CAPABLE holds in `directory`."""
    import tempfile  # noqa: PLC0415  takes 2 ms, and is seldom needed

    found: set[str] = set()
    try:
        with tempfile.TemporaryDirectory(dir=directory, prefix="gitorch-") as name:
            file = Path(name, "lower")
            file.touch(0o600)
            file.chmod(0o700)
            if file.stat().st_mode & stat.S_IXUSR:
                file.chmod(0o600)
                if not file.stat().st_mode & stat.S_IXUSR:
                    found.add("core.fileMode")
            if not os.path.lexists(file.with_name("LOWER")):
                found.add("core.ignoreCase")
            file.with_name("link").symlink_to("lower")
            found.add("core.symlinks")
    except OSError:
        pass
    return frozenset(found)
