"""Git-native, reproducible experiments.

This module contains what a project's Tasks.py needs, and importing it costs nothing. Notebooks and
programs that evaluate results use `runs`.
"""

from __future__ import annotations

__all__ = ["TaskBase", "metric", "progress", "runs"]

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    import os
    from typing import Any

    from gitorch.actions.runs import Runs
    from gitorch.runner.standin.gitorch import TaskBase, metric, progress


def __getattr__(name: str) -> Any:
    """Return what tasks use. The program does not import it, so that it handles Ctrl-C sooner."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gitorch.runner.standin import gitorch as standin  # noqa: PLC0415  tasks alone need it

    globals()[name] = getattr(standin, name)
    return globals()[name]


def runs(where: str | None = None, *, path: str | os.PathLike[str] = ".") -> Runs:
    """Return the runs of the repository that contains `path`, newest first.

    The result is a list of dictionaries, as in `gitorch list --json`. `where` selects runs, as in
    `gitorch list --where`:

        best = gitorch.runs("metrics.accuracy > 0.9 and status == 'COMPLETE'")
        best[0]["params"]["lr"]
        best.to_pandas().groupby("params.lr")["metrics.accuracy"].mean()
        best.series("loss").to_pandas()             # every value, with its step and time
        best[0].outputs["model.json"].read_bytes()  # also read_text() and open()

    Raises subclasses of `gitorch.errors.GitorchError`.
    """
    from pathlib import Path  # noqa: PLC0415  the start of a task does not wait for this

    from gitorch.actions.runs import runs as find_runs  # noqa: PLC0415

    return find_runs(where, Path(path))
