"""The engines by name: those of gitorch, and plug-ins (entry point group `gitorch.engines`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gitorch.engines.contract import Engine
from gitorch.engines.local import LocalEngine
from gitorch.errors import ProgramMissing, UsageError

GROUP = "gitorch.engines"
# The arguments are the number of slots, and the path of the lock that the engine's processes hold.
Maker = Callable[[int, Path], Engine]


def _slurm(slots: int, lock: Path) -> Engine:
    # 10 ms, for users of Slurm only.
    from gitorch.engines.slurm.engine import SlurmEngine  # noqa: PLC0415

    return SlurmEngine(slots, lock)


@contextmanager
def _dask_installed() -> Iterator[None]:
    """Raise ProgramMissing if a module of Dask cannot be imported here."""
    try:
        yield
    except ImportError:
        raise ProgramMissing(
            "the engine dask needs dask.distributed", "pip install 'gitorch[dask]'"
        ) from None


def _dask(slots: int, lock: Path) -> Engine:
    with _dask_installed():
        # 200 ms, for users of Dask only.
        from gitorch.engines.dask.engine import DaskEngine  # noqa: PLC0415
    return DaskEngine(slots, lock)


ENGINES: dict[str, Maker] = {
    "local": LocalEngine,
    "slurm": _slurm,
    "dask": _dask,
}


def engine_named(name: str) -> Maker:
    """Return what makes an engine. Raises UsageError if there is none with this name."""
    if name in ENGINES:
        return ENGINES[name]
    # 20 ms, for users of plug-ins only.
    from importlib.metadata import entry_points  # noqa: PLC0415

    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == name:
            maker: Maker = entry.load()
            return maker
    names = [*ENGINES, *sorted(entry.name for entry in found)]
    raise UsageError(
        f"there is no engine {name!r}",
        hint=f"choose one of: {', '.join(names)}",
    )


def most_at_once(name: str, options: Mapping[str, Any]) -> int | None:
    """Return how many attempts an engine executes at a time by default, None if it does not say.

    `options` are those of the engine.
    """
    if name == "dask":
        with _dask_installed():
            from gitorch.engines.dask.cluster import room_of  # noqa: PLC0415  as above
        return room_of(options)
    if name != "slurm":
        return None
    from gitorch.engines.slurm.calls import limits_of_site  # noqa: PLC0415  as above

    return limits_of_site().jobs
