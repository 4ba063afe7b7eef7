"""A check of a config's shape with `schemas/config.schema.json`, with gitorch's own messages."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from gitorch.config.document import Document, KeyPath, kind_in_words
from gitorch.config.flow_text import flow_text
from gitorch.model.problem import Problem, Severity
from gitorch.model.run.spec import OWN_KEYS, OWN_TASK_KEYS
from gitorch.model.text.spelling import did_you_mean, nearest

if TYPE_CHECKING:
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import ValidationError


class Flaw(NamedTuple):
    """A problem, and the position of the value that must not be read because of the problem."""

    position: KeyPath
    problem: Problem


def check_shape(document: Document) -> list[Flaw]:
    """Return the flaws in the shape of a config, which must be a mapping.

    They include a warning for each parameter whose name is close to one of gitorch's keys.
    """
    flaws: list[Flaw] = []
    for error in _validator().iter_errors(document.value):
        flaws += _flaws_of(document, error)
    positions = {flaw.position for flaw in flaws}
    for near_miss in _near_misses(document):
        if near_miss.position not in positions:
            flaws.append(near_miss)
    return flaws


@cache
def schema() -> dict[str, Any]:
    file = resources.files("gitorch.schemas").joinpath("config.schema.json")
    text = file.read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def schema_for_editors() -> str:
    """Return the schema as JSON, with null as a value of each setting: it counts as missing.

    gitorch itself removes these settings before it checks the shape of a config. Its own schema
    thereby tells them from a setting whose value was forgotten.
    """
    content = copy.deepcopy(schema())
    for block in ("fileSettings", "taskSettings"):
        settings = content["definitions"][block]["properties"]
        for key, shape in settings.items():
            settings[key] = {"anyOf": [shape, {"type": "null"}]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def hint_on(definition: str) -> str:
    """Return the hint of one of the schema's definitions, which says how to write a value."""
    hint: str = _definition(definition)["errorHint"]
    return hint


@cache
def file_settings() -> Mapping[str, Any]:
    """Return the schemas of the keys under the file's `gitorch:`."""
    return cast("Mapping[str, Any]", _definition("fileSettings")["properties"])


@cache
def task_settings() -> Mapping[str, Any]:
    """Return the schemas of the keys under a task's `gitorch:`, which the file's has, too."""
    return cast("Mapping[str, Any]", _definition("taskSettings")["properties"])


def has_shape(key: str, value: Any) -> bool:
    """Return True if the value, or a part of it, is valid for a key under `gitorch:`.

    One item of a list, or of a mapping even if its name is misspelt, is a part.
    """
    from jsonschema import Draft7Validator  # noqa: PLC0415 (as in `_validator`)

    shape = file_settings()[key]
    if "$ref" in shape:
        shape = _definition(shape["$ref"].removeprefix("#/definitions/"))
    validator = Draft7Validator({**shape, "definitions": schema()["definitions"]})
    parts = [value]
    if isinstance(value, list):
        parts += [[item] for item in value]
    if isinstance(value, dict):
        known = shape.get("properties", {})
        for name, item in value.items():
            parts.append({nearest(name, known) or name: item})
    return any(map(validator.is_valid, parts))


def _definition(name: str) -> dict[str, Any]:
    definition: dict[str, Any] = schema()["definitions"][name]
    return definition


@cache
def _validator() -> Draft7Validator:
    from jsonschema import Draft7Validator  # noqa: PLC0415 (40 to 130 ms: only where a config is loaded)

    return Draft7Validator(schema())


def _flaws_of(document: Document, error: ValidationError) -> Iterator[Flaw]:
    """Yield the flaws that one error of the validator reports."""
    position: KeyPath = tuple(error.absolute_path)
    rule: Any = error.validator
    value: Any = error.instance
    subschema: Any = error.schema  # the part of the schema with the rule
    if "propertyNames" in error.absolute_schema_path:
        reason = subschema["patternErrorMessage"]
        message = f"'{value}' is not the name of a variable: it {reason}"
        position = (*position, value)
        yield Flaw(position, document.problem(position, message, key=True))
        return
    match rule:
        case "required":
            yield from _missing_key(document, position, subschema, value)
        case "additionalProperties":
            known = subschema["properties"]
            for key in value:
                if key not in known:
                    yield _unknown_key(document, (*position, key), known)
        case "enum" if not isinstance(value, str):
            return  # the rule "type" already reports the value
        case _:
            yield Flaw(position, _wrong_value(document, position, error))


def _wrong_value(
    document: Document, position: KeyPath, error: ValidationError
) -> Problem:
    """Return the problem of one value that breaks a rule."""
    rule: Any = error.validator
    limit: Any = error.validator_value
    value: Any = error.instance
    subschema: Any = error.schema
    match rule:
        case "type":
            return _wrong_kind(document, position, subschema, value)
        case "enum":
            message = f"{_named(position)} cannot be '{value}'{did_you_mean(value, limit)}"
            return document.problem(
                position, message, f"known here: {', '.join(limit)}"
            )
        case "pattern":
            message = f"{_named(position)} {subschema['patternErrorMessage']}"
            return document.problem(position, message)
        case "not":
            hint = "remove one, or make them two tasks"
            return document.problem(
                position, subschema["errorMessage"], hint, key=True
            )
        case _:
            message = f"{_named(position)} {_RULES[rule].format(limit)}"
            return document.problem(position, message)


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


def _missing_key(
    document: Document,
    position: KeyPath,
    subschema: dict[str, Any],
    value: dict[str, Any],
) -> Iterator[Flaw]:
    """Yield the flaw of a missing key, or of a misspelt key that is probably meant to be it."""
    (missing,) = subschema["required"]
    wanted = [missing]
    if missing == "command":
        wanted = ["method", "command"]
    own_keys = _own_keys(position)
    for key in value:
        if key in own_keys:
            continue
        near = nearest(key, wanted)
        if near is None:
            continue
        is_reported_as_unknown = "additionalProperties" in subschema
        if not is_reported_as_unknown:
            key_position = (*position, key)
            message = f"unknown key '{key}', did you mean '{near}'?"
            yield Flaw(
                key_position, document.problem(key_position, message, key=True)
            )
        return
    match missing:
        case "tasks":
            message = "there are no 'tasks'"
            does = {"method": "Train"}
            if isinstance(value.get("command"), str):
                does = {"command": value["command"]}
            task = flow_text({"id": "train", **does})
            hint = f"list at least one:\n  tasks:\n    - {task}"
        case "command":
            message = "the task does nothing"
            hint = "give it a 'method' (a class in Tasks.py) or a 'command'"
        case "id":
            message = "the task has no 'id'"
            hint = "give it one, unique in this file"
        case _:
            message = f"{_named(position)} has no '{missing}'"
            hint = subschema["errorHint"]
    problem = document.problem(position, message, hint)
    yield Flaw((*position, missing), problem)


def _unknown_key(
    document: Document, position: KeyPath, known: Iterable[str]
) -> Flaw:
    key = str(position[-1])
    parent = next(step for step in reversed(position[:-1]) if isinstance(step, str))
    if parent != "gitorch":
        message = f"unknown key '{key}' under '{parent}'{did_you_mean(key, known)}"
        hint = f"known here: {', '.join(known)}"
    elif key in file_settings():
        message = f"'{key}' is a setting of the whole file"
        hint = "move it to the 'gitorch' key at the top level"
    elif key in _definition("task")["properties"]:
        message = f"'{key}' is a key of a task, not of 'gitorch'"
        hint = _line_of_task(document, position)
    elif key in schema()["properties"]:
        message = f"'{key}' is a key of the file, not of 'gitorch'"
        hint = "move it to the top level"
    else:
        message = f"unknown key '{key}' under 'gitorch'{did_you_mean(key, known)}"
        hint = f"known here: {', '.join(known)}; parameters belong outside of 'gitorch'"
    problem = document.problem(position, message, hint, key=True)
    return Flaw(position, problem)


def _line_of_task(document: Document, position: KeyPath) -> str:
    """Return the hint for a task's key that stands under `gitorch`."""
    if len(position) > len(("gitorch", "command")):
        return "move it to the task itself, beside its 'id'"
    node = document.node(position)
    value = None if node is None else node.value
    task = flow_text({"id": "train", str(position[-1]): value})
    return f"write it there:\n  tasks:\n    - {task}"


_KINDS = {
    "string": "text",
    "array": "a list",
    "object": "a mapping of keys to values",
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
}


def _wrong_kind(
    document: Document, position: KeyPath, subschema: dict[str, Any], value: Any
) -> Problem:
    kinds: str | list[str] = subschema["type"]
    wanted = [kinds] if isinstance(kinds, str) else kinds
    *others, last = [_KINDS[kind] for kind in wanted]
    expected = last
    if others:
        expected = f"{', '.join(others)} or {last}"
    given = kind_in_words(value)
    if isinstance(value, float) and "integer" in wanted:
        given = str(value)  # 0.5 is a number, but not a whole one
    message = f"{_named(position)} must be {expected}, not {given}"
    node = document.node(position)
    written = ""
    if node:
        written = node.span.text.strip()
    hint = subschema.get("errorHint") or _kind_hint(wanted, value, written)
    return document.problem(position, message, hint)


_BOOLEANS_OF_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def _kind_hint(wanted: list[str], value: Any, written: str) -> str | None:
    """Return a hint that says how to write a value so that it has a wanted kind.

    `written` is the source text of the value.
    """
    if "\n" not in written and len(written) <= 60:
        if "string" in wanted and written and not isinstance(value, list):
            return f'quote it: "{written}"'
        if "array" in wanted and isinstance(value, str):
            return f"write [{written}]"
    if (
        "boolean" in wanted
        and isinstance(value, str)
        and value in _BOOLEANS_OF_YAML_1_1
    ):
        meant = _BOOLEANS_OF_YAML_1_1[value]
        return f"in YAML 1.2 '{value}' is text: write {meant}"
    return None


def _near_misses(document: Document) -> Iterator[Flaw]:
    """Yield a warning for each parameter whose name is close to one of gitorch's keys."""
    mappings: list[tuple[KeyPath, Any]] = [((), document.value)]
    tasks = document.value.get("tasks")
    if isinstance(tasks, list):
        for index, task in enumerate(tasks):
            mappings.append((("tasks", index), task))
    for position, mapping in mappings:
        own_keys = _own_keys(position)
        if not isinstance(mapping, dict):
            continue
        for key in mapping:
            if key in own_keys:
                continue
            near = _nearest_own_key(key, own_keys)
            if near:
                key_position = (*position, key)
                message = (
                    f"'{key}' is taken for a parameter, did you mean '{near}'?"
                )
                severity = Severity.WARNING
                problem = document.problem(
                    key_position, message, None, severity, key=True
                )
                yield Flaw(key_position, problem)


@lru_cache
def _nearest_own_key(key: str, own_keys: frozenset[str]) -> str | None:
    """Return the own key that is spelt like `key`. The configs of a command have the same keys."""
    return nearest(key, own_keys)


def _own_keys(position: KeyPath) -> frozenset[str]:
    """Return gitorch's own keys in a mapping: the file, at the position (), or a task."""
    if position:
        return OWN_TASK_KEYS
    return OWN_KEYS


def _named(position: KeyPath) -> str:
    """Return the name of a value for messages: its last key, and the indexes behind this key."""
    indexes = ""
    for step in reversed(position):
        if isinstance(step, str):
            return f"'{step}{indexes}'"
        indexes = f"[{step}]{indexes}"
    raise ValueError(f"there is no key in {position}")
