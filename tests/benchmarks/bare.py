"""A virtual environment that contains gitorch alone, as users have it.

The environment of the tests has start-up hooks (coverage, setuptools, the editable install) that
more than double the time of `python -c pass`. They slow gitorch and its baseline alike, which
flatters every ratio between the two.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-benchmarks"


def enter(module: str) -> None:
    """Run `module` again in the bare environment, unless this is the bare environment.

    gitorch is installed anew from the working tree, not editable. Raises CalledProcessError if the
    installation fails.
    """
    if Path(sys.prefix) == ENVIRONMENT:
        return
    python = ENVIRONMENT / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run([*pip, ROOT], check=True)
    else:
        subprocess.run([*pip, "--force-reinstall", "--no-deps", ROOT], check=True)
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", module, *sys.argv[1:]])
