"""The completion of the command line in bash, zsh and fish.

A script of `cli/shells/` starts the program with `_GITORCH_COMPLETE` set to the name of the shell.
The program then prints a line for each word that it offers, and nothing else.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitorch.cli.verbs import VERBS

if TYPE_CHECKING:
    import typer

_ASKED = "_GITORCH_COMPLETE"
_SPLIT = "complete_bash"  # the protocol of scripts that typer has installed
SHELLS = ("bash", "zsh", "fish")
# A word of a shell's command line, which may end within quotes.
_WORD = r"""(?:[^\s"'\\]|\\.|'[^']*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z))+|\\\Z"""
_QUOTED = r"""\\(.)|'([^']*)(?:'|\Z)|"((?:[^"\\]|\\.)*)(?:"|\Z)"""


def answer(app: typer.Typer) -> bool:
    """Print what a shell asks for. Return False if no shell asks.

    A failure is no answer: an error would appear in the middle of the user's command line.
    """
    shell = os.environ.get(_ASKED)
    if shell not in (*SHELLS, _SPLIT):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with suppress(Exception, KeyboardInterrupt):
        lines = list(_lines(app, shell, sys.argv[1:]))
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    return True


def _lines(app: typer.Typer, shell: str, typed: list[str]) -> Iterator[str]:
    """Yield a line for each word that is offered, as the script of the shell reads it."""
    raw = ""
    if shell == "bash":
        typed, raw = _typed_in_bash("".join(typed))
    elif shell == _SPLIT:
        words = re.findall(_WORD, os.environ["COMP_WORDS"], re.S)
        position = int(os.environ["COMP_CWORD"])
        words += [""] * (position + 1 - len(words))
        typed = [_unquoted(word) for word in words[1 : position + 1]]
    for word, description in _offers(app, typed[:-1], "".join(typed[-1:])):
        match shell:
            case "bash":
                yield _for_bash(word, raw)
            case "zsh":
                yield _for_zsh(word, description)
            case "fish" if description:
                yield f"{word}\t{description}"
            case _:
                yield word


def _typed_in_bash(line: str) -> tuple[list[str], str]:
    """Return the words after `gitorch` or `git orch`, and the last one as it is typed."""
    words = re.findall(_WORD, line, re.S)
    if not line or line[-1].isspace():
        words.append("")
    typed = [_unquoted(word) for word in words[1:]]
    if Path(words[0]).name == "git":
        typed = typed[typed.index("orch") + 1 :]
    return typed, words[-1]


def _offers(
    app: typer.Typer, before: list[str], incomplete: str
) -> list[tuple[str, str]]:
    """Return the words for the place after `before`, each with a description or ""."""
    import typer
    from typer._completion_classes import (
        BashComplete,
    )  # of every release in the range

    from gitorch.cli.offers import columns

    while before and before[0] == "-C" and len(before) > 1:
        os.chdir(before[1])
        before = before[2:]
    if before and before[0] not in VERBS:
        return []
    if before[-1:] == ["--sort"]:  # `-accuracy` is not an option here
        return columns(incomplete)
    command: Any = typer.main.get_command(app)
    completer: Any = BashComplete(command, {"obj": before}, "gitorch", _ASKED)
    items = completer.get_completions(list(before), incomplete)
    option, equals, _ = incomplete.rpartition("=")
    head = f"{option}=" if equals and option.startswith("--") else ""
    return [(f"{head}{item.value}", _description(item)) for item in items]


def _description(item: Any) -> str:
    """Return the description of a word in one line. typer cuts the summary of a command."""
    if item.value in VERBS and (item.help or "").endswith("..."):
        return VERBS[item.value].summary
    return " ".join((item.help or "").split())


def _unquoted(word: str) -> str:
    """Return what a shell makes of a word without expansions."""

    def inner(match: re.Match[str]) -> str:
        escaped, single, double = match.groups()
        if double is not None:
            return re.sub(r'\\([\\"$`])', r"\1", double)
        return single if single is not None else escaped

    return re.sub(_QUOTED, inner, word, flags=re.S).removesuffix("\\")


def _for_zsh(word: str, description: str) -> str:
    shown = word.replace("\\", "\\\\").replace(":", "\\:")
    return f"{shown}:{description}" if description else shown


def _for_bash(word: str, raw: str) -> str:
    """Return what bash shall put in place of its last word.

    In quotes, that is the word itself. Otherwise it is escaped, and without what lies before the
    last character that separates words for bash, such as `=`, since bash keeps that.
    """
    if raw.startswith(("'", '"')):
        return word
    escaped = re.sub(r"([^\w@%+=:,./~-])", r"\\\1", word)
    breaks = os.environ.get("_GITORCH_BREAKS", "")
    separators = [
        character for character in raw if character in "=:" and character in breaks
    ]
    for separator in separators:
        _, _, escaped = escaped.partition(separator)
    return escaped


def script(shell: str) -> str:
    """Return the script that lets this shell complete the command line."""
    from importlib.resources import files

    return files("gitorch.cli.shells").joinpath(f"completion.{shell}").read_text()
