"""Git-native, reproducible experiments. What a project's Tasks.py needs is here, and importing it costs nothing.

For notebooks and programs that look at results there is `runs`.
"""

from __future__ import annotations

from gitorch.runner.standin.gitorch import TaskBase, metric, progress

__all__ = ["TaskBase", "metric", "progress", "runs"]

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    import os

    from gitorch.actions.runs import Runs


def runs(where: str | None = None, *, path: str | os.PathLike[str] = ".") -> Runs:
    """The runs of the repository that `path` lies in, newest first: a list of dictionaries, as `gitorch list --json`.

    `where` selects, as with `gitorch list --where`:

        best = gitorch.runs("metrics.accuracy > 0.9 and status == 'COMPLETE'")
        best[0]["params"]["lr"]
        best.to_pandas().groupby("params.lr")["metrics.accuracy"].mean()

    Raises errors of `gitorch.errors.GitorchError`.
    """
    from pathlib import Path  # noqa: PLC0415  tasks do not wait for this

    from gitorch.actions.runs import runs as found  # noqa: PLC0415

    return found(where, Path(path))
