"""The parameters of a task as arguments of its program: `--key value`, or Hydra's `key=value`.

The grammar of `key=value`: https://hydra.cc/docs/advanced/override_grammar/basic/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from gitorch.model.json_struct import JsonStruct, always
from gitorch.model.values import MISSING, value_at


class BoolStyle(StrEnum):
    """How a flag shows true and false."""

    YAML = "yaml"  # --amp true, --amp false
    PYTHON = "python"  # --amp True, --amp False
    SWITCH = "switch"  # --amp, or no flag
    NO_PREFIX = "no-prefix"  # --amp, --no-amp


class Flags(JsonStruct, frozen=True, kw_only=True):
    """How parameters become flags.

    With `dash`, the names of flags have `-` instead of `_`. With `equals`, a flag and its value are
    one word.
    """

    booleans: BoolStyle = always(BoolStyle.YAML, name="bool")
    dash: bool = always(False)
    equals: bool = False


# A text that Hydra reads as itself, unless it looks like a value of another kind.
_PLAIN = r"[\w/.$%*@?|:+-](?:[\w/.$%*@?|:+ -]*[\w/.$%*@?|:+-])?"
_OTHER_KINDS = frozenset({"null", "true", "false"})


def selected(names: Iterable[str], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the named parameters by their names, which are dotted inside mappings.

    A name that does not exist is left out.
    """
    found = {}
    for name in names:
        value = params.get(name, MISSING)
        if value is MISSING:
            value = value_at(params, name.split("."), MISSING)
        if value is not MISSING:
            found[name] = value
    return found


def flag_words(params: Mapping[str, Any], flags: Flags) -> Iterator[str]:
    """Yield the words of `--key value` for all parameters.

    The parameters in a mapping have dotted keys. null leaves a flag out. The items of a list are
    words of their own, unless `equals` makes one word of the flag and its value.
    """
    for key, value in _leaves(params):
        name = key.replace("_", "-") if flags.dash else key
        match value, flags.booleans:
            case (None, _) | (dict(), _):  # other mappings have been flattened
                continue
            case (True, BoolStyle.SWITCH | BoolStyle.NO_PREFIX):
                yield f"--{name}"
            case (False, BoolStyle.SWITCH):
                continue
            case (False, BoolStyle.NO_PREFIX):
                yield f"--no-{name}"
            case _ if flags.equals:
                yield f"--{name}={_text(value, flags)}"
            case (list(items), _):
                yield f"--{name}"
                yield from (_text(item, flags) for item in items)
            case _:
                yield from (f"--{name}", _text(value, flags))


def override_words(params: Mapping[str, Any], flags: Flags) -> Iterator[str]:
    """Yield the word `key=value` for each parameter, in Hydra's grammar.

    The parameters in a mapping have dotted keys.
    """
    for key, value in _leaves(params):
        written = "" if value == "" else _hydra(value, flags)
        yield f"{key}={written}"


def _leaves(
    params: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield the values in nested mappings, with dotted keys. An empty mapping is a value."""
    for key, value in params.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any, flags: Flags) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return _truth(value, flags)
    if isinstance(value, list | dict) and flags.booleans is BoolStyle.PYTHON:
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _truth(value: bool, flags: Flags) -> str:
    text = str(value)
    return text if flags.booleans is BoolStyle.PYTHON else text.lower()


def _hydra(value: Any, flags: Flags) -> str:
    match value:
        case bool():
            return _truth(value, flags)
        case list():
            items = [_hydra(item, flags) for item in value]
            return "[" + ",".join(items) + "]"
        case dict():
            entries = []
            for key, item in value.items():
                entries.append(f"{_hydra_text(key)}:{_hydra(item, flags)}")
            return "{" + ",".join(entries) + "}"
        case str():
            return _hydra_text(value)
        case _:
            return json.dumps(value)


def _hydra_text(text: str) -> str:
    """Return a text as Hydra reads it, in quotes if it would otherwise be read differently."""
    if re.fullmatch(_PLAIN, text) and not _is_of_other_kind(text):
        return text
    # A backslash escapes only a quote, and another backslash right before a quote.
    escaped = re.sub(r"(\\*)'", r"\1\1\'", text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"'{escaped}'"


def _is_of_other_kind(text: str) -> bool:
    if text.lower() in _OTHER_KINDS:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
