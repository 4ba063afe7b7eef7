"""`gitorch init`: an example config to begin with."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from gitorch.actions.validate import DEFAULT_PATH, SCHEMA
from gitorch.errors import Refused
from gitorch.runs.site import Site
from gitorch.tools.files import write_aside

EXAMPLE = "example.yaml"

_CONFIG = f"""\
# yaml-language-server: $schema={SCHEMA}

# Every key that is not gitorch's own is a parameter: each task is given them all.
learningRate: 0.1

tasks:
  # A command in any language. {{name}} is replaced by a parameter; what is written to {{outputDir}} is kept.
  - {{id: train, command: "echo trained with {{learningRate}} > {{outputDir}}/model.txt"}}
  # A class in Tasks.py is run by: - {{id: evaluate, method: Evaluate}}
  - {{id: report, command: "cat {{outputDir}}/model.txt"}}
"""


def init(site: Site) -> Path:
    """Write an example config and the schema that editors check it with. Raises Refused where it is there already."""
    directory = site.repository.root / DEFAULT_PATH
    example = directory / EXAMPLE
    if example.exists():
        raise Refused(
            f"{example} is there already",
            hint="gitorch check says what is wrong with it, gitorch ready queues it",
        )
    directory.mkdir(exist_ok=True)
    write_aside(
        directory / SCHEMA,
        resources.files("gitorch.schemas").joinpath("config.schema.json").read_bytes(),
    )
    write_aside(example, _CONFIG.encode())
    return example
