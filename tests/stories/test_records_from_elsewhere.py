"""A record that this clone did not queue is never executed by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

FOREIGN = "abcdefabcdef"
BRANCH = "gitorch/results"
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def queued(project: Path) -> str:
    """Queue a run that fails, and return its id."""
    config = "tasks: [{id: one, command: 'false'}]\n"
    write(project, "experiments/a.yaml", config)
    commit_files(project, {}, "a config")
    gitorch(project, "ready")
    return run_ids(project)[0]


def run_ids(project: Path) -> list[str]:
    return [run["id"] for run in gitorch_json(project, "list")["runs"]]


def record_path(run_id: str) -> str:
    return f"runs/{run_id[:2]}/{run_id}/record.json"


def record_of(project: Path, run_id: str) -> dict[str, Any]:
    text = git(project, "show", f"{BRANCH}:{record_path(run_id)}")
    record: dict[str, Any] = json.loads(text)
    return record


def commit_record(project: Path, record: dict[str, Any]) -> None:
    """Commit a record to the branch with git alone, as a fetch or a merge would bring it."""
    tree = project.parent / "elsewhere"
    git(project, "worktree", "add", "-q", "--detach", str(tree), BRANCH)
    write(tree, record_path(record["id"]), json.dumps(record))
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "from elsewhere")
    git(
        project,
        "update-ref",
        f"refs/heads/{BRANCH}",
        git(tree, "rev-parse", "HEAD"),
    )
    git(project, "worktree", "remove", "--force", str(tree))


def command_of(record: dict[str, Any], command: str) -> None:
    record["spec"]["tasks"][0]["command"] = command


def forget_queue(project: Path) -> None:
    for path in (project / ".git/gitorch").glob("queue.db*"):
        path.unlink()


@pytest.mark.parametrize(
    ("status", "is_rebuilt"),
    [("WAITING", False), ("WAITING", True), ("RUNNING", True)],
)
def test_a_planted_record_with_this_clones_id_is_not_executed(
    project: Path, queued: str, tmp_path: Path, status: str, is_rebuilt: bool
) -> None:
    gitorch(project, "kill", "--yes", queued)
    harm = tmp_path / "harm"
    record = {
        **json.loads(git(project, "show", f"{BRANCH}~1:{record_path(queued)}")),
        "id": FOREIGN,
        "status": status,
    }
    command_of(record, f"touch {harm}")
    commit_record(project, record)
    if is_rebuilt:
        forget_queue(project)
    assert FOREIGN in gitorch(project, "run").stderr
    gitorch(project, "run", FOREIGN, code=4)
    gitorch(project, "doctor", "--fix", code=1)
    gitorch(project, "run")
    assert not harm.exists()
    why = gitorch_json(project, "show", FOREIGN)["why"]
    assert why == f"not queued by this clone: gitorch adopt {FOREIGN}"


def change_command(record: dict[str, Any]) -> None:
    command_of(record, "touch harm")


def change_pin(record: dict[str, Any]) -> None:
    record["pin"]["commit"] = "1" * 40


def change_interpreter(record: dict[str, Any]) -> None:
    record["interpreter"] = "/tmp/python"


def change_variables(record: dict[str, Any]) -> None:
    record["spec"]["env"] = {"LD_PRELOAD": "harm.so"}


def change_params(record: dict[str, Any]) -> None:
    record["spec"]["document"]["x"] = 1


@pytest.mark.parametrize(
    ("edit", "is_rebuilt"),
    [
        (change_command, False),
        (change_command, True),
        (change_pin, False),
        (change_interpreter, False),
        (change_variables, True),
        (change_params, True),
    ],
)
def test_a_queued_run_that_was_changed_elsewhere_waits_until_somebody_asks(
    project: Path, queued: str, edit: Edit, is_rebuilt: bool
) -> None:
    record = record_of(project, queued)
    edit(record)
    commit_record(project, record)
    if is_rebuilt:
        forget_queue(project)
    assert queued in gitorch(project, "run").stderr
    assert gitorch_json(project, "show", queued)["run"]["status"] == "WAITING"


def test_the_verbs_say_what_to_do_about_a_run_that_was_changed_elsewhere(
    project: Path, queued: str
) -> None:
    record = record_of(project, queued)
    change_command(record)
    commit_record(project, record)
    for arguments in (("hold",), ("set", "--priority", "3"), ("run",)):
        refusal = gitorch(project, arguments[0], queued, *arguments[1:], code=4)
        assert f"gitorch adopt {queued}" in refusal.stderr
    assert "gitorch adopt" in gitorch(project, "doctor", code=1).stdout


def test_a_failed_run_that_was_changed_elsewhere_is_not_retried(
    project: Path, queued: str
) -> None:
    gitorch(project, "run", code=1)
    record = record_of(project, queued)
    change_command(record)
    commit_record(project, record)
    gitorch(project, "retry", queued, code=4)
    gitorch(project, "retry", queued, "--at", "HEAD", code=4)
    [refused] = gitorch_json(project, "retry", "--status", "ERROR")["refused"]
    assert refused["id"] == queued


def test_other_changes_of_a_record_are_followed(project: Path, queued: str) -> None:
    """A priority, for example, decides when a run is executed, not what is executed."""
    record = record_of(project, queued)
    record["priority"] = 7
    commit_record(project, record)
    forget_queue(project)
    assert "1 ERROR" in gitorch(project, "run", code=1).stderr


def test_an_adopted_run_is_a_run_of_this_clone(
    project: Path, queued: str, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    record = {**record_of(project, queued), "id": FOREIGN, "clone": "0123456789ab"}
    command_of(record, f"touch {made}")
    commit_record(project, record)
    gitorch(project, "run", FOREIGN, code=4)
    shown = gitorch(project, "show", FOREIGN).stdout
    assert f"touch {made}" in shown
    adopted = gitorch_json(project, "adopt", FOREIGN)
    assert adopted["schema"] == "gitorch/change/v1"
    assert adopted["changed"] == [
        {"id": FOREIGN, "from": "WAITING", "to": "WAITING"}
    ]
    forget_queue(project)
    gitorch(project, "run", FOREIGN)
    assert made.exists()
    history = gitorch_json(project, "show", FOREIGN)["run"]["history"]
    assert history[1]["why"] == "adopted from the clone 0123456789ab"
    assert history[1]["by"] == "A. Researcher"
    gitorch(project, "adopt", FOREIGN, code=4)
    gitorch(project, "adopt", queued, code=4)
    gitorch(project, "adopt", "ffffffffffff", code=3)


def test_a_failed_run_of_another_clone_is_adopted_and_resubmitted(
    project: Path, queued: str
) -> None:
    record = {**record_of(project, queued), "id": FOREIGN, "clone": "0123456789ab"}
    record["status"] = "FAILED"
    commit_record(project, record)
    gitorch(project, "resubmit", FOREIGN, code=4)
    gitorch(project, "adopt", FOREIGN)
    gitorch(project, "resubmit", FOREIGN)
    assert "1 ERROR" in gitorch(project, "run", FOREIGN, code=1).stderr


def test_a_run_that_another_clone_adopted_leaves_the_queue(
    project: Path, queued: str
) -> None:
    commit_record(project, {**record_of(project, queued), "clone": "0123456789ab"})
    gitorch(project, "run")
    assert (
        gitorch_json(project, "show", queued)["why"]
        == "it belongs to another clone"
    )


def test_a_rerun_takes_no_programs_from_a_record_of_another_clone(
    project: Path, queued: str
) -> None:
    record = {**record_of(project, queued), "id": FOREIGN, "clone": "0123456789ab"}
    own_interpreter = record["interpreter"]
    record["interpreter"] = "/tmp/python"
    record["spec"]["env"] = {"LD_PRELOAD": "harm.so"}
    record["spec"]["python"] = "/tmp/python"
    commit_record(project, record)
    repeated = gitorch(project, "rerun", "--queue", FOREIGN)
    assert f"{FOREIGN} was queued by the clone 0123456789ab" in repeated.stderr
    assert "LD_PRELOAD" in repeated.stderr
    new = record_of(project, repeated.stdout.strip())
    assert new["interpreter"] == own_interpreter
    assert new["spec"]["env"] == {}
    assert new["spec"]["python"] is None
    asked = gitorch(project, "rerun", "--queue", "--as-recorded", FOREIGN)
    same = record_of(project, asked.stdout.strip())
    assert same["interpreter"] == record["interpreter"]
    assert same["spec"] == record["spec"]
