"""The command line as promised: the whole of it is kept beside, and what changes in it is seen in review.

After a wanted change: REWRITE=1 python -m pytest tests/cli/test_reference.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.conftest import gitorch

REFERENCE = Path(__file__).with_name("reference.txt")
REWRITE = bool(os.environ.get("REWRITE"))


def test_the_reference_is_what_help_says(tmp_path: Path) -> None:
    width = {"COLUMNS": "100", "TERMINAL_WIDTH": "100"}
    whole = gitorch(tmp_path, "--help", env=width).stdout
    commands = re.findall(r"^  ([a-z][a-z-]*)  ", whole.partition("Commands:")[2], re.MULTILINE)
    texts = [
        whole,
        *(gitorch(tmp_path, command, "--help", env=width).stdout for command in commands),
    ]
    reference = "\n".join(text.rstrip() + "\n" for text in texts)
    if REWRITE:
        REFERENCE.write_text(reference)
    assert reference == REFERENCE.read_text()
