"""The complete CLI reference is kept in reference.txt, so that every change of it is reviewed.

After an intended change: REWRITE=1 python -m pytest tests/cli/test_reference.py
"""

from __future__ import annotations

import os
from pathlib import Path

from gitorch.cli.examples import EXAMPLES
from gitorch.cli.verbs import GROUPS, VERBS
from tests.conftest import gitorch

REFERENCE = Path(__file__).with_name("reference.txt")
REWRITE = bool(os.environ.get("REWRITE"))


def test_help_prints_the_reference(tmp_path: Path) -> None:
    width = {"COLUMNS": "100", "TERMINAL_WIDTH": "100"}
    texts = [gitorch(tmp_path, "--help", env=width).stdout]
    for name in VERBS:
        texts.append(gitorch(tmp_path, name, "--help", env=width).stdout)
    reference = "\n".join(text.rstrip() + "\n" for text in texts)
    if REWRITE:
        REFERENCE.write_text(reference)
    assert reference == REFERENCE.read_text()


def test_no_summary_of_a_command_is_cut_off(tmp_path: Path) -> None:
    text = gitorch(tmp_path, "--help", env={"COLUMNS": "80"}).stdout
    lines = [line.strip() for line in text.splitlines()]
    for name, verb in VERBS.items():
        assert f"{name:12}  {verb.summary}" in lines


def test_every_command_is_in_one_group_and_has_two_examples(tmp_path: Path) -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(VERBS)
    assert list(EXAMPLES) == list(VERBS)
    for name, examples in EXAMPLES.items():
        assert len(examples) == 2, name
        for example in examples:
            assert name in example.split(), example
