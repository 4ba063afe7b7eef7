"""The differences between environments: which of them count, and how a line says them.

A difference counts if it can give a program other results: packages and their origins, interpreter,
C library, GPU, variables, locale, time zone, umask. The rest is a fact of the machine alone: the
model and the number of its CPUs, its memory, the release of its kernel. A cluster would differ in
these in nearly every run, mostly without an effect. They are named, but do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gitorch.model.run.spec import render_value
from gitorch.model.text.phrases import some
from gitorch.model.values import are_identical, flattened

MACHINE = "machine"  # the kind that does not count
_KINDS = {
    "python": "interpreter",
    "implementation": "interpreter",
    "packages": "packages",
    "sources": "packages",
    "locks": "locks",
    "commands": "commands",
    "platform": "system",
    "machine": "system",
    "gpus": "gpu",
    "cuda": "gpu",
    "variables": "variables",
    "locale": "process",
    "timezone": "process",
    "umask": "process",
}
# The facts that a record of an earlier version does not have. It has no time zone, which all others
# have, and of the variables it has only these.
_SINCE_LATER = frozenset(
    {"implementation", "sources", "locks", "cpu", "cuda", "locale", "umask"}
)
_ALWAYS = "timezone"
_FORMER_VARIABLES = frozenset(
    {
        "CUBLAS_WORKSPACE_CONFIG",
        "CUDA_VISIBLE_DEVICES",
        "JAX_PLATFORMS",
        "LANG",
        "LC_ALL",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PYTHONHASHSEED",
        "PYTHONPATH",
        "TF_DETERMINISTIC_OPS",
        "TZ",
        "XLA_FLAGS",
    }
)


class EnvironmentChange(NamedTuple):
    """A fact that differs: `kind` is a word for its sort, None a value that there is not."""

    kind: str
    name: str
    before: Any
    after: Any

    @property
    def counts(self) -> bool:
        """Return True if the difference can give a program other results."""
        return self.kind != MACHINE

    def __str__(self) -> str:
        return f"{self.name} {_value(self.before)} -> {_value(self.after)}"


def comparable(environments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the environments with dotted keys, without facts that one of them cannot have."""
    is_former = any(
        environment and _ALWAYS not in environment for environment in environments
    )
    flat = []
    for environment in environments:
        if is_former:
            environment = _as_formerly(environment)
        flat.append(flattened(environment))
    return flat


def environment_changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[EnvironmentChange]:
    """Return what differs between two environments."""
    old, new = comparable([before, after])
    changes = []
    for key in {**old, **new}:
        values = old.get(key), new.get(key)
        if key not in old or key not in new or not are_identical(values):
            top, _, rest = key.partition(".")
            kind = _kind(top, *values)
            changes.append(EnvironmentChange(kind, rest or top, *values))
    return changes


def lines_by_kind(
    changes: Sequence[EnvironmentChange], most: int = 3
) -> dict[str, str]:
    """Return a line for each kind, such as `numpy 1.26.4 -> 2.0.1 and 3 more` for packages."""
    by_kind: dict[str, list[str]] = {}
    for change in changes:
        by_kind.setdefault(change.kind, []).append(str(change))
    return {kind: some(texts, most) for kind, texts in by_kind.items()}


def _kind(top: str, before: Any, after: Any) -> str:
    is_same_system = _without_kernel(before) == _without_kernel(after)
    if top == "platform" and is_same_system:
        return MACHINE
    return _KINDS.get(top, MACHINE)


def _without_kernel(name: Any) -> str:
    """Return a platform (`Linux-6.1.0-18-amd64-x86_64-with-glibc2.36`) without its kernel."""
    system, _, rest = str(name).partition("-")
    return f"{system} {rest.rpartition('-with-')[2]}"


def _as_formerly(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that a record of an earlier version can have."""
    kept = {}
    for name, fact in environment.items():
        if name == "variables" and isinstance(fact, Mapping):
            fact = {key: fact[key] for key in fact if key in _FORMER_VARIABLES}
        if name not in _SINCE_LATER and name != _ALWAYS:
            kept[name] = fact
    return kept


def _value(value: Any) -> str:
    return "none" if value is None else render_value(value)
