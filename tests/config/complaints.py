"""Helpers: load a config from text, and render its problems."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from gitorch.config.pipeline import ConfigContext, LoadedConfig, load_config
from gitorch.model.problem import Problem

TASKS = "tasks: [{id: train, method: Train}]\n"


def load(
    text: str,
    *,
    file: str = "experiments/penguins.yaml",
    root: Path | None = None,
    **remotes: str,
) -> LoadedConfig:
    context = ConfigContext(root=root, remotes=remotes)
    return load_config(dedent(text).encode(), file=file, context=context)


def complaints(
    text: str,
    *,
    file: str = "experiments/penguins.yaml",
    root: Path | None = None,
    **remotes: str,
) -> str:
    """Return all problems as a compiler prints them: a line each, with the hint below."""
    return "\n".join(
        map(said, load(text, file=file, root=root, **remotes).problems)
    )


def said(problem: Problem) -> str:
    hint = f"\n  {problem.hint}" if problem.hint else ""
    return f"{problem.line}:{problem.column}: {problem.severity}: {problem.message}{hint}"


def marked(problem: Problem) -> str:
    """Return the text that the problem points at."""
    return problem.excerpt[problem.column - 1 : problem.column - 1 + problem.length]
