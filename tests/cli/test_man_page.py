"""`git orch --help`, for which git looks for a man page. The page is made from the commands.

After an intended change: REWRITE=1 python -m pytest tests/cli/test_man_page.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gitorch.cli.verbs import GROUPS, VERBS

PAGE = Path(__file__).parents[2] / "gitorch/cli/manual/git-orch.1"
REWRITE = bool(os.environ.get("REWRITE"))
HEAD = """\
.TH GIT\\-ORCH 1
.SH NAME
git\\-orch, gitorch \\- run experiments from a git repository
.SH SYNOPSIS
.B git orch
[\\-C DIR] COMMAND [ARGUMENTS]
.br
.B gitorch
[\\-C DIR] COMMAND [ARGUMENTS]
.SH DESCRIPTION
Each config is pinned to a commit and executed in a worktree of its own. What a run gives is
committed to an orphan branch, so that it can be compared, restored and repeated.
.PP
.B gitorch COMMAND \\-\\-help
shows the options of a command with two examples, and
.B gitorch help
lists the topics of the manual.
"""


def rendered() -> str:
    parts = [HEAD]
    for title, names in GROUPS.items():
        parts.append(f".SH {title.upper()}\n")
        for name in names:
            escaped = name.replace("-", "\\-")
            parts.append(f".TP\n.B {escaped}\n{VERBS[name].summary}\n")
    return "".join(parts)


def test_the_man_page_lists_every_command() -> None:
    if REWRITE:
        PAGE.write_text(rendered())
    assert PAGE.read_text() == rendered()


def test_git_finds_the_man_page(tmp_path: Path) -> None:
    """An editable installation has no man pages, so the page is put where a wheel puts it."""
    page = tmp_path / "share/man/man1/git-orch.1"
    page.parent.mkdir(parents=True)
    page.write_text(PAGE.read_text())
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git-orch").symlink_to(Path(sys.executable).with_name("git-orch"))
    env = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "MANPAGER": "cat",
        "LC_ALL": "C.UTF-8",
        "MANWIDTH": "80",
    }
    shown = subprocess.run(
        ["git", "orch", "--help"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "run experiments from a git repository" in shown
    assert VERBS["ready"].summary in shown
