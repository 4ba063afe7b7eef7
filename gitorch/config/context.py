"""The facts about a repository that the checks of a config need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from gitorch.model.sweep import LIMIT


class ConfigContext(Struct, frozen=True, kw_only=True):
    """The root of the work tree, the remotes, and the settings that configs depend on.

    `remotes` maps the name of each remote to its address. Without a `root`, only the texts of paths
    are checked, not the files. `sweep_limit` is the largest number of points of a sweep. `python`
    is the interpreter of a config that names none.
    """

    root: Path | None = None
    remotes: Mapping[str, str] = field(default_factory=dict)
    sweep_limit: int = LIMIT
    python: str | None = None
