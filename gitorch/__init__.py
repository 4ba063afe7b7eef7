"""Git-native, reproducible experiments. What a project's Tasks.py needs is here, and importing it costs nothing."""

from gitorch.runner.standin.gitorch import TaskBase, metric, progress

__all__ = ["TaskBase", "metric", "progress"]
