"""The question before runs are changed, on a terminal and without one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gitorch.actions.changeable import OPERATOR_VERBS
from gitorch.cli.confirmation import EFFECTS
from tests.conftest import git, gitorch, gitorch_json, write
from tests.terminal import on_terminal

SWEEP = """
    gitorch: {matrix: {a: [1, 2, 3, 4, 5, 6, 7]}}
    tasks:
      - {id: one, command: "echo {a}"}
"""


@pytest.fixture
def held(project: Path) -> Path:
    """Return a project that has seven held runs."""
    write(project, "experiments/s.yaml", SWEEP)
    gitorch(project, "ready", "--hold")
    return project


def tip(root: Path) -> str:
    return git(root, "rev-parse", "gitorch/results")


def test_every_verb_says_what_it_does() -> None:
    assert set(EFFECTS) == set(OPERATOR_VERBS)
    assert [verb for verb, effect in EFFECTS.items() if effect.undo is None] == [
        "kill"
    ]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_question_says_what_happens_to_how_many_runs(
    held: Path, columns: int
) -> None:
    before = tip(held)
    ids = [run["id"] for run in gitorch_json(held, "list")["runs"]]
    seen = on_terminal(
        held, "kill", "--all", columns=columns, answers=[("[y/N]", "n\n")]
    )
    assert seen.text == (
        "kill ends 7 runs and removes their records; this cannot be undone:\n"
        f"  {ids[0]}  s a=7  HOLD\n"
        f"  {ids[1]}  s a=6  HOLD\n"
        f"  {ids[2]}  s a=5  HOLD\n"
        f"  {ids[3]}  s a=4  HOLD\n"
        f"  {ids[4]}  s a=3  HOLD\n"
        "  and 2 more\n"
        "kill them? [y/N] n\n"
        "\x1b[1;31merror:\x1b[0m nothing was changed\n"
    )
    assert seen.code == 1
    assert tip(held) == before


@pytest.mark.parametrize(
    "verb", [["kill", "--all"], ["kill", "--name", "s"], ["release", "--all"]]
)
@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ("n\n", 1),
        ("No\n", 1),
        ("\n", 1),
        ("\x04", 1),
        ("what\nn\n", 1),
        ("\x03", 130),
    ],
)
def test_nothing_is_changed_unless_the_answer_is_yes(
    held: Path, verb: list[str], keys: str, code: int
) -> None:
    before = tip(held)
    seen = on_terminal(held, *verb, answers=[("[y/N]", keys)])
    assert seen.code == code
    assert "Traceback" not in seen.text
    last = "interrupted" if code == 130 else "nothing was changed"
    assert seen.lines[-1].endswith(f" {last}")
    assert tip(held) == before


def test_yes_changes_the_runs(held: Path) -> None:
    seen = on_terminal(held, "release", "--all", answers=[("them?", "yes\n")])
    assert seen.code == 0
    statuses = {run["status"] for run in gitorch_json(held, "list")["runs"]}
    assert statuses == {"WAITING"}
    seen = on_terminal(
        held, "kill", "--where", "params.a == 3", answers=[("it?", "y\n")]
    )
    assert seen.code == 0
    assert len(gitorch_json(held, "list")["runs"]) == 6


@pytest.mark.parametrize(
    "words", [["release", "s"], ["release", "--all", "-y"], ["kill", "s"]]
)
def test_nothing_is_asked_of_what_is_named_or_agreed_to(
    held: Path, words: list[str]
) -> None:
    seen = on_terminal(held, *words)
    assert seen.code == 0
    assert "?" not in seen.text


@pytest.mark.parametrize(
    "words", [["kill", "--all"], ["retry", "--all"], ["kill", "--name", "x"]]
)
def test_no_question_is_about_no_run(project: Path, words: list[str]) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "run", "experiments")
    for seen in (
        on_terminal(project, *words).text,
        gitorch(project, *words).stderr,
    ):
        assert "?" not in seen
        assert "error" not in seen


def test_only_the_runs_of_the_question_are_changed(held: Path) -> None:
    """A run that is queued while the question waits is not one of those that the user saw."""

    def queue_another() -> str:
        write(held, "later/s.yaml", "tasks: [{id: t, command: 'true'}]\n")
        gitorch(held, "ready", "later", "--hold")
        return "y\n"

    for words in (["kill", "--where", "params.a == 3"], ["kill", "--all"]):
        seen = on_terminal(held, *words, answers=[("[y/N]", queue_another)])
        assert seen.code == 0
        [left, *_] = gitorch_json(held, "list")["runs"]
        assert left["label"] == "s"
        gitorch(held, "kill", left["id"])


def test_without_a_terminal_what_cannot_be_undone_needs_yes(held: Path) -> None:
    before = tip(held)
    for words, count in (
        (["kill", "--all"], 7),
        (["kill", "--where", "params.a < 3"], 2),
    ):
        refused = gitorch(held, *words, code=4).stderr
        assert refused.startswith(
            f"error: kill ends {count} runs and removes their records; "
            "this cannot be undone: s a="
        )
        assert refused.count("s a=") >= min(count, 5)
    assert refused.endswith(
        "hint: if you mean it: gitorch kill --yes --where 'params.a < 3'\n"
    )
    document = gitorch_json(held, "kill", "--name", "s", code=4)
    assert document["error"]["kind"] == "refused"
    assert tip(held) == before
    gitorch(held, "kill", "s a=1", "s a=2")
    assert len(gitorch_json(held, "list")["runs"]) == 5


def test_without_a_terminal_what_can_be_undone_is_done(held: Path) -> None:
    assert "?" not in gitorch(held, "release", "--all").stderr
    assert "?" not in gitorch(held, "hold", "--status", "WAITING").stderr


def test_a_question_that_nobody_sees_is_not_asked(held: Path) -> None:
    """The errors go to a file, so a terminal on stdin is not enough."""
    seen = on_terminal(
        held,
        program=[
            "sh",
            "-c",
            f'"{sys.executable}" -m gitorch kill --all 2> said; echo $?',
        ],
    )
    assert seen.text == "4\n"
    assert "cannot be undone" in (held / "said").read_text()
