"""A cached task that has failed fails once for all queued runs that share its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import gitorch, gitorch_json, write

CONFIG = """
    gitorch: {{matrix: {{rate: [1, 2, 3]}}}}
    tasks:
      - {{id: first, command: 'echo one > {{outputDir}}/one'}}
      - id: prepare
        command: "echo x >> {tmp}/executed; {command}"
        gitorch: {{cache: {{params: []}}, {options}}}
      - {{id: train, command: 'echo {{rate}} > {{outputDir}}/two'}}
"""


def ready(project: Path, tmp_path: Path, command: str, options: str = "") -> None:
    text = CONFIG.format(tmp=tmp_path, command=command, options=options)
    write(project, "experiments/a.yaml", text)
    gitorch(project, "ready")


def executions(tmp_path: Path) -> int:
    return len((tmp_path / "executed").read_text().split())


def prepared(project: Path) -> list[dict[str, Any]]:
    """Return the task `prepare` of each run, in the order of the runs."""
    runs = gitorch_json(project, "list")["runs"]
    tasks = []
    for run in runs[::-1]:
        tasks.append(gitorch_json(project, "show", run["id"])["run"]["tasks"][1])
    return tasks


def messages(project: Path) -> list[str]:
    return [
        task["attempts"][-1]["outcome"].get("message", "")
        for task in prepared(project)
    ]


def test_other_runs_get_the_failure_until_one_is_retried(
    project: Path, tmp_path: Path
) -> None:
    command = f"echo reason; test -f {tmp_path}/fixed"
    ready(project, tmp_path, command)
    stderr = gitorch(project, "run", "-j", "2", code=1).stderr
    assert executions(tmp_path) == 1
    assert [task["status"] for task in prepared(project)] == ["ERROR"] * 3
    ids = [run["id"] for run in gitorch_json(project, "list")["runs"]][::-1]
    told = [text for text in messages(project) if "as in run" in text]
    [failed] = {text.split()[3].rstrip(":") for text in told}
    assert failed in ids
    assert len(told) == 2
    assert all(text.endswith("reason") for text in told)
    assert stderr.count(f"as in run {failed}") == 2
    [other, third] = [run_id for run_id in ids if run_id != failed]
    log = gitorch(project, "logs", other, "--task", "prepare").stdout
    assert f"gitorch retry {other} executes it here" in log
    record = gitorch_json(project, "show", other)["run"]
    assert [output["path"] for output in record["outputs"]] == ["one"]

    gitorch(project, "retry", other)
    gitorch(project, "run", code=1)
    assert executions(tmp_path) == 2, "a retry executes the task"

    (tmp_path / "fixed").touch()
    gitorch(project, "retry", failed, other, third)
    gitorch(project, "run", "-j", "2")
    assert executions(tmp_path) == 3, "success is shared"
    assert [task["status"] for task in prepared(project)] == ["COMPLETE"] * 3


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("kill -9 $$", ""),
        ("exit 137", ""),
        ("sleep 60", "timeout: 0.2s"),
    ],
)
def test_a_cause_that_may_pass_is_not_shared(
    project: Path, tmp_path: Path, command: str, options: str
) -> None:
    ready(project, tmp_path, command, options)
    gitorch(project, "run", code=1)
    assert executions(tmp_path) == 3
    assert not any("as in run" in text for text in messages(project))


def test_a_failure_is_shared_when_all_retries_are_used_up(
    project: Path, tmp_path: Path
) -> None:
    ready(project, tmp_path, "exit 3", "retries: {max: 1, backoff: 0s}")
    gitorch(project, "run", code=1)
    shared = [text for text in messages(project) if "as in run" in text]
    assert len(shared) == 2
    assert executions(tmp_path) == 2


def test_no_cache_executes_what_has_failed(project: Path, tmp_path: Path) -> None:
    ready(project, tmp_path, "exit 3")
    gitorch(project, "run", "--no-cache", code=1)
    assert executions(tmp_path) == 3
    assert not any("as in run" in text for text in messages(project))


def test_a_run_readied_after_the_failure_is_executed(
    project: Path, tmp_path: Path
) -> None:
    ready(project, tmp_path, f"test -f {tmp_path}/fixed")
    gitorch(project, "run", code=1)
    assert executions(tmp_path) == 1
    (tmp_path / "fixed").touch()
    gitorch(project, "ready", "--again")
    gitorch(project, "run")
    assert executions(tmp_path) == 2
