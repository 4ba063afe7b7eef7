"""The shell of a command, and what it means for the identity and the cache key of a run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gitorch.model.run.identity import run_identity
from gitorch.model.run.shell import BASH, SH, default_shell, parse_shell, with_shell
from gitorch.model.run.spec import RunSpec, TaskSpec


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("bash", BASH),
        ("sh", ("sh", "-c")),
        ("bash -c", ("bash", "-c")),
        ("bash -eu", ("bash", "-eu", "-c")),
        ("/opt/my\\ tools/zsh -ec", ("/opt/my tools/zsh", "-ec")),
        (["bash", "-eo", "pipefail"], (*BASH,)),
        (["dash"], ("dash", "-c")),
    ],
)
def test_a_shell_is_read(written: str | list[str], words: tuple[str, ...]) -> None:
    assert parse_shell(written) == words


@pytest.mark.parametrize("written", ["", "  ", "bash 'x", []])
def test_what_is_not_a_shell(written: str | list[str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the messages are those of shlex
        parse_shell(written)


def test_only_commands_that_are_texts_get_the_default() -> None:
    spec = RunSpec(
        name="a",
        document={},
        tasks=(
            TaskSpec(id="text", command="true"),
            TaskSpec(id="own", command="true", shell=("zsh", "-c")),
            TaskSpec(id="words", command=("true",)),
            TaskSpec(id="class", method="Train"),
        ),
    )
    assert default_shell(has_bash=True) == BASH
    shells = [task.shell for task in with_shell(spec, SH).tasks]
    assert shells == [SH, ("zsh", "-c"), None, None]


def test_a_default_shell_is_not_part_of_the_identity_and_another_one_is() -> None:
    task = TaskSpec(id="a", command="true")

    def identity(shell: tuple[str, ...] | None) -> str:
        tasks = (replace(task, shell=shell),)
        return run_identity(RunSpec(name="a", document={}, tasks=tasks), "code")

    assert identity(None) == identity(BASH) == identity(SH)
    assert (
        len({identity(None), identity(("sh", "-c")), identity(("zsh", "-c"))}) == 3
    )
