"""`list` says which runs were fetched and are not here."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import commit_files, git, gitorch, gitorch_json

CONFIG = "tasks: [{id: t, command: 'true'}]\n"


def test_list_says_which_remote_has_runs_that_are_not_here(
    project: Path, tmp_path: Path
) -> None:
    commit_files(project, {"experiments/a.yaml": CONFIG})
    gitorch(project, "run", "experiments")
    gitorch(project, "rerun", "@")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(project), str(clone))
    # The branch of this clone begins with what was fetched.
    assert len(gitorch_json(clone, "list")["runs"]) == 2
    assert "origin has" not in gitorch(clone, "list").stderr
    git(clone, "fetch", "-q", "origin", "gitorch/results:gitorch/results")
    assert "origin has" not in gitorch(clone, "list").stderr

    gitorch(project, "rerun", "@")
    git(clone, "fetch", "-q")
    one = "origin has 1 run that is not here: gitorch help sharing"
    assert one in gitorch(clone, "list").stderr
    git(clone, "pack-refs", "--all")
    assert one in gitorch(clone, "list", "--where", "duration_s > 0").stderr
    # A run that was killed here is not missing.
    missing = gitorch_json(project, "list")["runs"][0]["id"]
    git(clone, "fetch", "-q", "origin", "gitorch/results:gitorch/results")
    gitorch(clone, "rerun", "--queue", missing)
    queued = gitorch_json(clone, "list")["runs"][0]["id"]
    git(clone, "push", "-q", "origin", "gitorch/results:refs/heads/other")
    git(
        clone,
        "update-ref",
        "refs/remotes/origin/gitorch/results",
        "gitorch/results",
    )
    gitorch(clone, "kill", "--yes", queued)
    assert "origin has" not in gitorch(clone, "list").stderr
    # A reference to anything else says nothing.
    tree = git(clone, "rev-parse", "HEAD^{tree}")
    git(clone, "update-ref", "refs/remotes/origin/gitorch/results", tree)
    assert gitorch(clone, "list").stderr == ""
