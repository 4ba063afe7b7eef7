"""`discard: [globs]`: checkpoints are there for the next attempt, and not in the record, which says so."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

TASKS = """
import json
from pathlib import Path

class Train:
    def __init__(self, config):
        self.out = Path(config["outputDir"])
    def run(self):
        checkpoint = self.out / "ckpt" / "1.pt"
        if not checkpoint.exists():
            checkpoint.parent.mkdir()
            checkpoint.write_bytes(bytes(3000))
            raise SystemExit("interrupted")
        (self.out / "model.txt").write_text("trained")
        (self.out / "metrics.json").write_text(json.dumps({"loss": 0.5}))
"""


def test_a_retry_resumes_from_a_checkpoint_that_is_not_kept(project: Path) -> None:
    commit_files(project, {"Tasks.py": TASKS})
    write(
        project,
        "experiments/e.yaml",
        "gitorch: {discard: [ckpt, metrics.json]}\n"
        "tasks: [{id: train, method: Train}, {id: list, command: 'ls {outputDir}/ckpt > {outputDir}/list.txt'}]\n",
    )
    gitorch(project, "run", "experiments", code=1)
    failed = gitorch_json(project, "show", "e")["run"]
    assert failed["outputs"] == []
    assert failed["discarded"] == [{"glob": "ckpt", "files": 1, "size": 3000, "task": "train"}]

    gitorch(project, "retry", "e")
    gitorch(project, "run")
    run = gitorch_json(project, "show", "e")["run"]
    assert run["status"] == "COMPLETE"
    assert [output["path"] for output in run["outputs"]] == ["list.txt", "model.txt"]
    assert run["metrics"] == {"loss": 0.5}, "read before they are left out"
    assert run["discarded"] == [
        {"glob": "ckpt", "files": 1, "size": 3000, "task": "train"},
        {"glob": "metrics.json", "files": 1, "size": 13, "task": "train"},
    ]
    said = gitorch(project, "show", "e").stdout
    assert "discarded\n  ckpt          1 file, 2.9 KiB  by train\n" in said
    assert "ckpt" not in git(project, "ls-tree", "-r", "--name-only", "gitorch/results")
    assert not list((project.parent / "project.gitorch").glob(f"{run['id']}*")), (
        "gone with the workspace"
    )
