"""`gitorch init`: write an example config to begin with."""

from __future__ import annotations

from pathlib import Path

from gitorch.actions.configs import DEFAULT_PATH
from gitorch.config.schema import schema_for_editors
from gitorch.errors import Refused
from gitorch.git.code_digest import SCHEMA
from gitorch.storage.site import Site
from gitorch.tools.files import write_aside

EXAMPLE = "example.yaml"

_CONFIG = f"""\
# yaml-language-server: $schema={SCHEMA}

# Every key that gitorch does not define is a parameter. Each task receives all parameters.
learningRate: 0.1

tasks:
  # A command in any language. {{name}} is replaced by a parameter.
  # Files that are written to {{outputDir}} are kept.
  - {{id: train, command: "echo trained with {{learningRate}} > {{outputDir}}/model.txt"}}
  # A class in Tasks.py is run by: - {{id: evaluate, method: Evaluate}}
  - {{id: report, command: "cat {{outputDir}}/model.txt"}}
"""


def init(site: Site) -> Path:
    """Write an example config, and the schema with which editors check it. Return its path.

    Raises Refused if the example exists already.
    """
    directory = site.repository.root / DEFAULT_PATH
    example = directory / EXAMPLE
    if example.exists():
        raise Refused(
            f"{example} exists already",
            hint="gitorch check validates it, gitorch ready queues it",
        )
    directory.mkdir(exist_ok=True)
    write_aside(directory / SCHEMA, schema_for_editors().encode())
    write_aside(example, _CONFIG.encode())
    return example
