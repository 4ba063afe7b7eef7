"""The command of a task with its placeholders filled in.

Besides parameters, a command can name `{output}`, and the lists of words `{flags}` and
`{overrides}`. A parameter of the same name comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitorch.model.run.flags import flag_words, override_words, selected
from gitorch.model.run.spec import RunSpec, TaskSpec, seen_params
from gitorch.model.text.placeholders import Placeholder, fill
from gitorch.model.workspace import OUTPUT_FROM_TREE

OUTPUT = "output"
_WORDS = {"flags": flag_words, "overrides": override_words}


def command_line(
    spec: RunSpec, task: TaskSpec, config: Mapping[str, Any]
) -> str | tuple[str, ...]:
    """Return the command of a task, filled in. `config` is the config dict of the task.

    Raises KeyError if the command names something that does not exist.
    """

    def expand(hole: Placeholder) -> tuple[str, ...] | None:
        return _expanded(spec, task, hole)

    return fill(
        task.command or "",
        config,
        double_braces=task.double_braces,
        expand=expand,
    )


def names_words(hole: Placeholder) -> bool:
    """Return True for `{flags}` and `{overrides}`, with or without a selection."""
    return hole.name in _WORDS


def params_named(hole: Placeholder, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that `{flags}` stands for, or `{flags:…}`, or the like."""
    if hole.selection is None:
        return dict(params)
    return selected(hole.selected, params)


def _expanded(
    spec: RunSpec, task: TaskSpec, hole: Placeholder
) -> tuple[str, ...] | None:
    """Return the words that a placeholder stands for, None if it is not one of these.

    The commands of earlier records have no lists of words.
    """
    if hole.name == OUTPUT:
        return (OUTPUT_FROM_TREE,)
    if task.flags is None or not names_words(hole):
        return None
    named = params_named(hole, seen_params(spec, task))
    return tuple(_WORDS[hole.name](named, task.flags))
