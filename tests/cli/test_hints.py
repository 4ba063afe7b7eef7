"""Every command, option and setting that a text of gitorch names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import gitorch
from gitorch.cli.mistaken import _TRIED, other_name
from gitorch.cli.verbs import VERBS, load_command
from gitorch.model.settings import SETTINGS
from tests.conftest import git

PACKAGE = Path(gitorch.__file__).parent
# It stands for a value that is put into a text, which may be any word.
VALUE = "…"
# A program with its command, and the rest of the line up to the next command.
COMMAND = re.compile(
    r"(?<![\w./-])(gitorch|git) (?:-C \S+ )?(…|[a-z][a-z-]*(?![\w…]))"
    r"((?:(?! git(?:orch)? )[^;|&()`\n])*)"
)
OPTION = re.compile(r"(?<!\S)(?:--[a-z][a-z-]*|-[a-zA-Z])(?![\w-])")
SETTING = re.compile(r"\bgit config (?:--\S+ )?gitorch\.(\w+)")
# The words that follow `gitorch` or `git` in sentences, where no command is meant.
SENTENCES = """
    can cannot compares did directory does fetches fills found has ignores in is itself lists
    program puts
    reads refused refuses repository says that there to uses would wrote
"""
# git refs: git 2.46 and newer. git lfs: a program of its own.
NEWER_OR_APART = {"refs", "lfs"}
# Options of other programs, later in the sentence.
OF_OTHERS = {"--logdir"}


class Named(NamedTuple):
    """A command that a text names."""

    place: str
    program: str
    verb: str
    rest: str


def test_every_command_of_gitorch_in_a_text_exists_with_its_options() -> None:
    named = commands_of("gitorch")
    assert len(named) > 50, "the texts of the package are not found"
    unknown = [
        command
        for command in named
        if command.verb not in {*VERBS, VALUE}
        or not set(OPTION.findall(command.rest)) <= options_of(command.verb)
    ]
    assert unknown == []


def test_every_command_of_git_in_a_text_exists(tmp_path: Path) -> None:
    listed = git(tmp_path, "--list-cmds=main").split()
    known = {*listed, *NEWER_OR_APART, VALUE}
    assert [c for c in commands_of("git") if c.verb not in known] == []


def test_every_setting_in_a_text_exists() -> None:
    known = {setting.name.removesuffix(".*") for setting in SETTINGS}
    named = [name for _, text in all_texts() for name in SETTING.findall(text)]
    assert len(named) > 5
    assert set(named) <= known


def test_every_name_that_people_try_leads_to_a_command_that_exists() -> None:
    tried = {name for names in _TRIED.values() for name in names.split()}
    for name in tried:
        error = other_name(name)
        if error is None:
            continue
        for line in str(error.hint).splitlines():
            verb = line.split()[1].rstrip(":")
            assert verb in VERBS or verb.startswith("--"), (name, line)


def commands_of(program: str) -> list[Named]:
    named = []
    for place, text in all_texts():
        for found, verb, rest in COMMAND.findall(text):
            if found == program and verb not in SENTENCES.split():
                named.append(Named(place, program, verb, rest.rstrip(".,")))
    return named


@cache
def options_of(verb: str) -> set[str]:
    """Return the options of a command. An unknown command may be any command."""
    verbs = list(VERBS) if verb == VALUE else [verb]
    options = {"--help", *OF_OTHERS}
    for name in verbs:
        for parameter in load_command(name).params:
            options.update(parameter.opts, parameter.secondary_opts)
    return options


@cache
def all_texts() -> list[tuple[str, str]]:
    """Return the texts of the package, each with its place."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        for line, text in texts(ast.parse(path.read_text())):
            found.append((f"{place}:{line}", text))
    return found


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module and their lines, without docstrings."""
    seen: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            seen.add(node.value)
        if node in seen:
            continue
        if isinstance(node, ast.JoinedStr):
            seen.update(node.values)
            parts = [
                str(part.value) if isinstance(part, ast.Constant) else VALUE
                for part in node.values
            ]
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
