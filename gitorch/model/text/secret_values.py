"""Secrets among the values of a config.

The record of a run has all values of its config, and the results branch is shared. A value is taken
for a secret only if there is little doubt: numbers, short texts, ordinary words, paths and the
tokens of language models (`[MASK]`, `<|endoftext|>`) are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from gitorch.model.text.masking import (
    COMMON,
    NOTHING_SECRET,
    Masking,
    passwords_in,
)

KeyPath = tuple[str | int, ...]

_SHORTEST = 8

# Few commands look for secrets: these patterns are compiled where they are used.
# The last words of the names whose values are secrets, in snake_case, kebab-case or camelCase.
_NAME = (
    r"(?:^|[_.-])(?:"
    r"password|passwd|passphrase|secret|credentials?|connection_?string|"
    r"(?:api|access|private|auth|secret|account|encryption|signing|master)[_-]?key|"
    r"(?:api|access|auth|bearer|refresh|secret|session|github|gitlab|hf|wandb|slack)[_-]?token"
    r")$"
)
# The beginnings with which well-known services mark their secrets.
_MARKED = (
    r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{30,}|xox[abposr]-[\w-]{10,}|AKIA[0-9A-Z]{16})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# A value that stands for a secret: a variable, its name, a placeholder, a path, a text with blanks.
_STAND_IN = (
    r"[$<{\[%]|.*\s|~|\.{0,2}/|.*\.(?:json|pem|key|txt|ya?ml|env)$"
    r"|[A-Z][A-Z0-9]*_[A-Z0-9_]*$"
    r"|(?i:your|example|dummy|change|replace|todo|x{4}|\*{4})"
)


class Suspect(NamedTuple):
    """A value that is, or contains, what is taken for a secret, and why.

    A name or a look alone makes it not certain.
    """

    position: KeyPath
    secret: str
    reason: str
    is_certain: bool = False


def find_secrets(value: Any, masking: Masking) -> Iterator[Suspect]:
    """Yield each value of a config that is taken for a secret.

    `masking` knows the secrets of the environment.
    """
    pending: list[tuple[KeyPath, str, Any]] = [((), "", value)]
    while pending:
        position, name, inner = pending.pop()
        match inner:
            case dict():
                for key, item in inner.items():
                    pending.append(((*position, key), key, item))
            case list() | tuple():
                for index, item in enumerate(inner):
                    pending.append(((*position, index), name, item))
            case str() if len(inner) >= _SHORTEST:
                suspect = _suspect(position, name, inner, masking)
                if suspect is not None:
                    yield suspect


def secret_texts(value: Any) -> list[str]:
    """Return the values of a config whose name or look is that of a secret.

    The record has them, but no log, result or metric needs to repeat them.
    """
    texts = []
    for suspect in find_secrets(value, NOTHING_SECRET):
        if not suspect.is_certain:
            texts.append(suspect.secret)
    return texts


def _suspect(
    position: KeyPath, name: str, text: str, masking: Masking
) -> Suspect | None:
    if position[:1] == ("githubRepository",):  # recorded without its password
        return None
    variable = masking.variable_in(text)
    if variable is not None:
        reason = f"it has the value of the variable {variable}"
        return Suspect(position, text, reason, is_certain=True)
    if any(map(_is_hard_to_guess, passwords_in(text))):
        reason = "it is an address with a password"
        return Suspect(position, text, reason, is_certain=True)
    found = _by_name_or_look(name, text)
    return None if found is None else Suspect(position, *found)


@lru_cache(maxsize=4096)  # the runs of a sweep have mostly the same values
def _by_name_or_look(name: str, text: str) -> tuple[str, str] | None:
    """Return the secret in a text, and the reason to take it for one."""
    marked = re.search(_MARKED, text)
    if marked:
        secret = text if marked[0].startswith("-") else marked[0]
        return secret, "it looks like the key of a service"
    if _is_name_of_secret(name) and not _is_stand_in(text):
        return text, "its name is that of a secret"
    return None


def _is_stand_in(text: str) -> bool:
    return re.match(_STAND_IN, text) is not None or text.lower() in COMMON


def _is_hard_to_guess(text: str) -> bool:
    """Return True if a text is neither short nor an ordinary word."""
    is_plain = len(text) < _SHORTEST or text.isalpha()
    return not is_plain and not _is_stand_in(text)


def _is_name_of_secret(name: str) -> bool:
    snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return re.search(_NAME, snake_case) is not None
