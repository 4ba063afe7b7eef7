"""The shape of a config, checked against `schemas/config.schema.json`, in words and with places."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from gitorch.config.document import Document, KeyPath, kind_of
from gitorch.model.problem import Problem, Severity
from gitorch.model.run.spec import OWN_KEYS, OWN_TASK_KEYS
from gitorch.model.text.spelling import did_you_mean, nearest

if TYPE_CHECKING:
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import ValidationError


class Flaw(NamedTuple):
    """A problem, and the path of the value that must therefore not be read."""

    path: KeyPath
    problem: Problem


def check_shape(document: Document) -> list[Flaw]:
    """All the ways in which a mapping is not shaped like a config, near misses of gitorch's keys included."""
    flaws = [
        flaw
        for error in _validator().iter_errors(document.value)
        for flaw in _flaws(document, error)
    ]
    told = {flaw.path for flaw in flaws}
    return flaws + [flaw for flaw in _near_misses(document) if flaw.path not in told]


@cache
def schema() -> dict[str, Any]:
    text = (
        resources.files("gitorch.schemas")
        .joinpath("config.schema.json")
        .read_text(encoding="utf-8")
    )
    read: dict[str, Any] = json.loads(text)
    return read


def hint_on(definition: str) -> str:
    """How to write what `definition` of the schema describes."""
    hint: str = schema()["definitions"][definition]["errorHint"]
    return hint


@cache
def _validator() -> Draft7Validator:
    from jsonschema import Draft7Validator  # noqa: PLC0415 (40 to 130 ms: only where a config is loaded)

    return Draft7Validator(schema())


def _flaws(document: Document, error: ValidationError) -> Iterator[Flaw]:
    """One error of the validator, said in our words."""
    path: KeyPath = tuple(error.absolute_path)
    rule: Any = error.validator
    limit: Any = error.validator_value
    value: Any = error.instance
    part: Any = error.schema  # the part of the schema that says so
    if "propertyNames" in error.absolute_schema_path:
        message = f"'{value}' is no name of a variable: it {part['patternErrorMessage']}"
        yield Flaw((*path, value), document.problem((*path, value), message, key=True))
        return
    match rule:
        case "required":
            yield from _missing(document, path, part, value)
        case "additionalProperties":
            known = part["properties"]
            yield from (
                _unknown(document, (*path, key), known) for key in value if key not in known
            )
        case "type":
            yield Flaw(path, _wrong_kind(document, path, part, value))
        case "enum" if not isinstance(value, str):
            return  # its type is wrong, which is said
        case "enum":
            message = f"{_named(path)} cannot be '{value}'{did_you_mean(value, limit)}"
            yield Flaw(path, document.problem(path, message, f"known here: {', '.join(limit)}"))
        case "pattern":
            message = f"{_named(path)} {part['patternErrorMessage']}"
            yield Flaw(path, document.problem(path, message))
        case "not":
            hint = "remove one, or make them two tasks"
            yield Flaw(path, document.problem(path, part["errorMessage"], hint, key=True))
        case _:
            yield Flaw(path, document.problem(path, f"{_named(path)} {_RULES[rule].format(limit)}"))


_RULES = {
    "minLength": "must not be empty",
    "minItems": "must not be empty",
    "minProperties": "must not be empty",
    "maxLength": "must have at most {} characters",
    "uniqueItems": "names something twice",
    "const": "must be {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
}


def _missing(
    document: Document, path: KeyPath, part: dict[str, Any], value: dict[str, Any]
) -> Iterator[Flaw]:
    """A missing key; where there is a near miss of it, that is what is wrong."""
    (missing,) = part["required"]
    wanted = ("method", "command") if missing == "command" else (missing,)
    for key in value:
        if key not in _own_keys(path) and (near := nearest(key, wanted)):
            if "additionalProperties" not in part:  # else it is refused anyway
                message = f"unknown key '{key}', did you mean '{near}'?"
                yield Flaw((*path, key), document.problem((*path, key), message, key=True))
            return
    if missing == "tasks":
        message, hint = (
            "there are no 'tasks'",
            "list at least one:\n  tasks:\n    - {id: train, method: Train}",
        )
    elif missing == "command":
        message, hint = (
            "the task does nothing",
            "give it a 'method' (a class in Tasks.py) or a 'command'",
        )
    elif missing == "id":
        message, hint = "the task has no 'id'", "give it one, unique in this file"
    else:
        message, hint = f"{_named(path)} has no '{missing}'", part["errorHint"]
    yield Flaw((*path, missing), document.problem(path, message, hint))


def _unknown(document: Document, path: KeyPath, known: Iterable[str]) -> Flaw:
    *_, place, key = map(str, path)
    if place != "gitorch":
        message = f"unknown key '{key}' under '{place}'{did_you_mean(key, known)}"
        hint = f"known here: {', '.join(known)}"
    elif key in schema()["definitions"]["fileSettings"]["properties"]:
        message = f"'{key}' is a setting of the whole file"
        hint = "move it to the 'gitorch' key at the top level"
    else:
        message = f"unknown key '{key}' under 'gitorch'{did_you_mean(key, known)}"
        hint = f"known here: {', '.join(known)}; parameters belong outside of 'gitorch'"
    return Flaw(path, document.problem(path, message, hint, key=True))


_KINDS = {
    "string": "text",
    "array": "a list",
    "object": "a mapping of keys to values",
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
}


def _wrong_kind(document: Document, path: KeyPath, part: dict[str, Any], value: Any) -> Problem:
    kinds: str | list[str] = part["type"]
    wanted = [kinds] if isinstance(kinds, str) else kinds
    *others, last = [_KINDS[kind] for kind in wanted]
    meant = " or ".join([", ".join(others), last] if others else [last])
    given = value if isinstance(value, float) and "integer" in wanted else kind_of(value)
    message = f"{_named(path)} must be {meant}, not {given}"
    node = document.node(path)
    written = node.span.text.strip() if node else ""
    return document.problem(
        path, message, part.get("errorHint") or _kind_hint(wanted, value, written)
    )


def _kind_hint(wanted: list[str], value: Any, written: str) -> str | None:
    short = "\n" not in written and len(written) <= 60
    if "string" in wanted and short and written and not isinstance(value, list):
        return f'quote it: "{written}"'
    if "array" in wanted and short and isinstance(value, str):
        return f"write [{written}]"
    if "boolean" in wanted and value in ("yes", "no", "on", "off"):
        return (
            f"in YAML 1.2 '{value}' is text: write {'true' if value in ('yes', 'on') else 'false'}"
        )
    return None


def _near_misses(document: Document) -> Iterator[Flaw]:
    """Parameters whose names are nearly keys of gitorch's."""
    tasks = document.value.get("tasks")
    places: list[tuple[KeyPath, Any]] = [((), document.value)]
    places += [
        (("tasks", index), task)
        for index, task in enumerate(tasks if isinstance(tasks, list) else ())
    ]
    for path, mapping in places:
        own = _own_keys(path)
        for key in mapping if isinstance(mapping, dict) else ():
            if key not in own and (near := nearest(key, own)):
                message = f"'{key}' is taken for a parameter, did you mean '{near}'?"
                yield Flaw(
                    (*path, key),
                    document.problem((*path, key), message, None, Severity.WARNING, key=True),
                )


def _own_keys(path: KeyPath) -> frozenset[str]:
    return OWN_TASK_KEYS if path else OWN_KEYS


def _named(path: KeyPath) -> str:
    """How messages name a value: by its last key, and its place in the list under it."""
    start = max(index for index, step in enumerate(path) if isinstance(step, str))
    return f"'{path[start]}{''.join(f'[{step}]' for step in path[start + 1 :])}'"
