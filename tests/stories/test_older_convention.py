"""A project that follows the older convention runs unmodified."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

BASE = """
import abc

class TaskBase(abc.ABC):
    def __init__(self, config):
        self.config = config

    @abc.abstractmethod
    def run(self):
        ...
"""

TASKS = """
import logging
import os

from orchestrator.tasks.TaskBase import TaskBase

class CreateDatasets(TaskBase):
    def __init__(self, config):
        super().__init__(config)
        self.path = os.path.join(self.config['outputDir'], 'datasets.csv')

    def run(self):
        logging.info('Creating datasets')
        with open(self.path, 'w') as file:
            file.write('1,2,3')
        logging.debug('not shown')

class TrainModel(TaskBase):
    def run(self):
        path = os.path.join(self.config['outputDir'], 'datasets.csv')
        logging.info('Training with %s', open(path).read())
        logging.warning('epochs: %d', self.config['epochs'])
"""


def test_a_project_of_the_older_convention_runs_unmodified(project: Path) -> None:
    git(project, "remote", "add", "origin", "git@example.org:group/Science.git")
    commit_files(
        project,
        {
            "orchestrator/__init__.py": "",
            "orchestrator/tasks/__init__.py": "",
            "orchestrator/tasks/TaskBase.py": BASE,
            "src/tasks/Tasks.py": TASKS,
        },
    )
    config = write(
        project,
        "configs/train.yaml",
        f"""
        githubRepository: https://example.org/group/Science
        pathToTasks: {project}/src/tasks
        outputDir: results/train
        UNSAFE_ignoreDirtyCheck: true
        overwriteOutputFine: true
        tasks:
          - id: createDatasets
            method: CreateDatasets
          - id: trainModel
            method: TrainModel
            epochs: 20
        """,
    )
    write(project, "README.md", "edited, and not committed\n")
    ready = gitorch(project, "ready", config)
    assert "not in the run: README.md" in ready.stderr
    gitorch(project, "run")
    run = gitorch_json(project, "show", "train")["run"]
    assert run["status"] == "COMPLETE"
    assert [output["path"] for output in run["outputs"]] == ["datasets.csv"]
    log = gitorch(project, "logs", "train").stdout
    assert "Creating datasets" in log
    assert "Training with 1,2,3" in log
    assert "epochs: 20" in log
    assert "not shown" not in log
    assert git(project, "status", "--porcelain") == " M README.md\n?? configs/"
    assert not (project / "results").exists()
