"""`gitorch rerun -S`: the runs that are like another run, but with other parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from gitorch.errors import UsageError
from gitorch.model.run.identity import run_identity
from gitorch.model.run.spec import RunSpec
from gitorch.model.sweep import Sweep, at_point, parse_range
from gitorch.model.text.keys import Target, target_of
from gitorch.model.values import are_identical
from gitorch.storage.new_record import RunDefinition
from gitorch.storage.site import Site

if TYPE_CHECKING:
    from gitorch.config.document import Document


def changed_definitions(
    site: Site, definition: RunDefinition, options: Sequence[str]
) -> tuple[list[RunDefinition], list[str]]:
    """Return a definition for each point of the `options`, and notes on parameters that are new.

    Everything that the options do not change is as it was recorded. The label has the parameters
    that the options change, beside those that it had.
    Raises UsageError if an option is invalid.
    """
    if not options:
        return [definition], []
    values, notes = _values(definition.spec, options)
    targets = _targets(definition.spec, values)
    kept = _kept_in_label(definition.spec, values, targets)
    swept = [key for key in definition.spec.swept if key in kept]
    swept += [key for key, several in values.items() if len(several) > 1]
    code = site.code.of(
        definition.pin.tree, definition.spec.code, frozenset(definition.bases)
    )
    overrides = _merged(definition.overrides, options)
    changed = []
    for point in Sweep(matrix=values).points():
        spec = at_point(definition.spec, point, targets)
        distinctive = [*kept, *_changed(definition.spec, point)]
        spec = replace(
            spec,
            swept=tuple(dict.fromkeys(swept)),
            changed=tuple(
                dict.fromkeys(key for key in distinctive if key not in swept)
            ),
        )
        changed.append(
            replace(
                definition,
                spec=spec,
                identity=run_identity(spec, code, definition.data),
                overrides=overrides,
            )
        )
    return changed, notes


def _kept_in_label(
    spec: RunSpec, values: Mapping[str, Any], targets: Mapping[str, Target]
) -> list[str]:
    """Return the keys in the label that stay there: those in no mapping that the options set."""
    kept = []
    for key in spec.distinctive:
        hides = any(_lies_in(targets[key], targets[other]) for other in values)
        if key in values or not hides:
            kept.append(key)
    return kept


def _changed(spec: RunSpec, point: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys to which the options give another value than the recorded one."""
    for key, value in point.items():
        if not are_identical((spec.value(key), value)):
            yield key


def _values(
    spec: RunSpec, options: Sequence[str]
) -> tuple[dict[str, Sequence[Any]], list[str]]:
    """Return the values of each key that the options set, and warnings. Raises UsageError."""
    from gitorch.config.overrides import override  # noqa: PLC0415  with YAML: 60 ms
    from gitorch.config.yaml_parser import parse_document  # noqa: PLC0415
    from gitorch.model.problem import Severity  # noqa: PLC0415

    for option in options:
        if option.startswith("~"):
            raise UsageError(
                f"rerun sets parameters, and {option} drops one",
                "drop it from the config: gitorch run CONFIG -S '~KEY'",
            )
    text = json.dumps(spec.document, ensure_ascii=False)
    recorded = parse_document(
        text.encode("utf-8", "replace"), "the recorded config"
    )
    changed = override(recorded, options)
    notes = []
    for problem in changed.problems[len(recorded.problems) :]:
        if problem.severity is Severity.ERROR:
            raise UsageError(f"-S: {problem.message}", problem.hint)
        notes.append(f"-S: {problem.message}")
    return dict(_read_values(spec, changed, options)), notes


def _read_values(
    spec: RunSpec, document: Document, options: Sequence[str]
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield each key that the options set, with its values."""
    from gitorch.config.parameters import Parameters  # noqa: PLC0415  with YAML

    parameters = Parameters(spec.document)
    for option in options:
        key = option.partition("=")[0].rstrip()
        swept = document.node(("gitorch", "matrix", key))
        if swept is None:
            target = target_of(key, spec.document, [task.id for task in spec.tasks])
            node = document.node(parameters.position(target))
            yield key, [node.value if node else None]
        elif isinstance(swept.value, str):
            yield key, _range(swept.value)
        else:
            yield key, swept.value


def _range(text: str) -> range:
    """Return the range that a text means. Raises UsageError if it has no values."""
    try:
        values = parse_range(text)
    except ValueError:
        raise UsageError("-S: the step of a range cannot be 0") from None
    if not values:
        raise UsageError(f"-S: {text} is empty")
    return values


def _targets(spec: RunSpec, values: Mapping[str, Any]) -> dict[str, Target]:
    task_ids = [task.id for task in spec.tasks]
    return {
        key: target_of(key, spec.document, task_ids)
        for key in (*spec.distinctive, *values)
    }


def _lies_in(inner: Target, outer: Target) -> bool:
    is_inside = inner.path[: len(outer.path)] == outer.path
    return inner.task == outer.task and is_inside


def _merged(before: Sequence[str], options: Sequence[str]) -> tuple[str, ...]:
    """Return the options that were recorded, without those that are replaced, and the new ones."""
    replaced = {_key(option) for option in options}
    kept = [option for option in before if _key(option) not in replaced]
    return (*kept, *options)


def _key(option: str) -> str:
    return option.removeprefix("~").partition("=")[0].strip()
