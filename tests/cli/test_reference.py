"""The complete CLI reference is kept in reference.txt, so that every change of it is reviewed.

After an intended change: REWRITE=1 python -m pytest tests/cli/test_reference.py
"""

from __future__ import annotations

import os
from pathlib import Path

from gitorch.cli.verbs import VERBS
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
    _, _, commands = gitorch(tmp_path, "--help").stdout.partition("Commands:")
    assert len(commands.strip().splitlines()) == len(VERBS)
    assert "..." not in commands
