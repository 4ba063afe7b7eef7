"""`discard: [globs]` keeps checkpoints for the next attempt but leaves them out of the record.

The record says how many files were discarded, and their size.
"""

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


def test_a_retry_resumes_from_a_discarded_checkpoint(project: Path) -> None:
    commit_files(project, {"Tasks.py": TASKS})
    write(
        project,
        "experiments/e.yaml",
        """
        gitorch: {discard: [ckpt, metrics.json]}
        tasks:
          - {id: train, method: Train}
          - {id: list, command: "ls {outputDir}/ckpt > {outputDir}/list.txt"}
        """,
    )
    gitorch(project, "run", "experiments", code=1)
    failed = gitorch_json(project, "show", "e")["run"]
    assert failed["outputs"] == []
    assert failed["discarded"] == [
        {"glob": "ckpt", "files": 1, "size": 3000, "task": "train"}
    ]

    gitorch(project, "retry", "e")
    gitorch(project, "run")
    run = gitorch_json(project, "show", "e")["run"]
    assert run["status"] == "COMPLETE"
    assert [output["path"] for output in run["outputs"]] == [
        "list.txt",
        "model.txt",
    ]
    assert run["metrics"] == {"loss": 0.5}, (
        "metrics are read before their file is discarded"
    )
    assert run["discarded"] == [
        {"glob": "ckpt", "files": 1, "size": 3000, "task": "train"},
        {"glob": "metrics.json", "files": 1, "size": 13, "task": "train"},
    ]
    stdout = gitorch(project, "show", "e").stdout
    assert "discarded\n  ckpt          1 file, 2.9 KiB  by train\n" in stdout
    assert "ckpt" not in git(
        project, "ls-tree", "-r", "--name-only", "gitorch/results"
    )
    workspace = project.parent / "project.gitorch"
    assert not list(workspace.glob(f"{run['id']}*")), (
        "removed with the directory of the run"
    )
