"""The recorded environment of a run as text, for `env`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitorch.actions.env import RunEnvironment
from gitorch.cli.render_run import size
from gitorch.cli.style import in_line, paint, table
from gitorch.model.run.spec import render_value

_SECTIONS = ("packages", "sources", "locks", "variables", "commands")


def render_environment(found: RunEnvironment, *, colors: bool) -> str:
    """Return the facts about interpreter and machine, then one section for each kind of list."""
    environment = found.environment
    rows = [["run", f"{found.id}  {found.label}"]]
    if "python" in environment:
        version = f"{environment['python']} {found.interpreter}"
        rows.append(["python", version])
    if found.hosts:
        rows.append(["host", ", ".join(found.hosts)])
    for name, value in environment.items():
        if name not in (*_SECTIONS, "python", "interpreter"):
            rows.append([name, _fact(name, value)])
    lines = _aligned(rows)
    for name in _SECTIONS:
        facts = environment.get(name)
        if facts and isinstance(facts, Mapping):
            lines += ["", paint(name, "bold", on=colors)]
            lines += _aligned(_rows_of(facts))
    return "\n".join(lines)


def _aligned(rows: list[list[str]]) -> list[str]:
    cells = [list(map(in_line, row)) for row in rows]
    return table(cells, header=["", ""], colors=False)[1:]


def _rows_of(facts: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, value in sorted(facts.items()):
        if isinstance(value, Mapping):
            value = " ".join(_words(value))
        rows.append([f"  {name}", str(value)])
    return rows


def _words(origin: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of an origin: the address first, then `commit …` and the like."""
    for name, value in origin.items():
        if name == "url":
            yield str(value)
        elif value is True:
            yield name
        else:
            yield f"{name} {value}"


def _fact(name: str, value: Any) -> str:
    match value:
        case int() if name == "memory_bytes":
            return size(value)
        case list():
            return "; ".join(map(str, value)) or "none"
        case str():
            return value
        case _:
            return render_value(value)
