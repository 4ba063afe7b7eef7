"""The fixture `sealed_room` of conftest.py: a test that writes to its home fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_test_that_writes_to_the_home_fails(tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text(
        "import os, pathlib\n"
        "def test_bad():\n"
        "    pathlib.Path(os.environ['HOME'], 'gitconfig').write_text('[user]')\n"
    )
    (tmp_path / "conftest.py").write_text(
        Path(__file__).with_name("conftest.py").read_text()
    )
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert "wrote into the user's home" in result.stdout
