"""The installation of completion in the user's shell: a script, and a line that loads it.

Nothing else of the shell is changed.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from gitorch.cli.completion import SHELLS, script
from gitorch.cli.style import say
from gitorch.errors import UsageError
from gitorch.tools.files import write_over
from gitorch.tools.process import command_line, process_of

_PARENTS = 3  # `git orch` is started by git, and git by the shell


def shell_of_user() -> str:
    """Return the shell that started the program, else the user's login shell.

    Raises UsageError if there is no script for that shell.
    """
    login_shell = Path(os.environ.get("SHELL", "")).name
    for shell in (*_ancestors(), login_shell):
        if shell in SHELLS:
            return shell
    raise UsageError(
        f"there is no completion for the shell {login_shell!r}",
        f"run this in one of these shells: {', '.join(SHELLS)}",
    )


def _ancestors() -> Iterator[str]:
    """Yield the names of the processes that called the program: git, and the first other one."""
    pid = os.getppid()
    for _ in range(_PARENTS):
        process = process_of(pid)
        if process is None:
            return
        name = Path(command_line(pid).split(" ")[0].lstrip("-")).name
        yield name
        if name != "git":
            return
        pid = process.parent


def install() -> None:
    """Write the script for the user's shell, and let the shell load it. Raises UsageError."""
    shell = shell_of_user()
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    path = data / "gitorch" / f"completion.{shell}"
    startup = {
        "bash": home / ".bashrc",
        "zsh": Path(os.environ.get("ZDOTDIR") or home) / ".zshrc",
    }.get(shell)
    if startup is None:
        # fish reads every file of this directory.
        path = config / "fish" / "conf.d" / "gitorch.fish"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_over(path, script(shell).encode())
    say(f"Wrote {path}")
    if startup is not None:
        _add_line(
            startup,
            f"[ -r {shlex.quote(str(path))} ] && . {shlex.quote(str(path))}",
        )
    if shell == "zsh":
        say(
            "zsh completes once this comes before that line: autoload -Uz compinit && compinit"
        )
    say(f"It works in a new {shell}")


def _add_line(path: Path, line: str) -> None:
    """Append a line to a file that lacks it."""
    written = path.read_text(errors="surrogateescape") if path.exists() else ""
    if line in written.splitlines():
        return
    if written and not written.endswith("\n"):
        line = f"\n{line}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{line}\n")
    say(f"Added a line to {path}")
