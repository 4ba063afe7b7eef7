"""A view, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gitorch.actions.run_table import RunTable
from gitorch.errors import UsageError
from gitorch.page.guard import Guard
from gitorch.page.words import FILTERS
from gitorch.storage.site import Site

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
_MOST_REMEMBERED = 64  # answers


class Query(Struct, frozen=True, kw_only=True):
    """A request: the parts of its path by name, and its parameters in order."""

    path: Mapping[str, str] = {}
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a parameter."""
        values = self.all(name)
        return values[-1] if values else default

    def all(self, name: str) -> list[str]:
        """Return all values of a parameter that are not empty."""
        return [value for key, value in self.parameters if key == name and value]

    def number(self, name: str, default: int) -> int:
        """Return the value of a parameter as a number that is not negative."""
        text = self.get(name)
        is_number = text.isascii() and text.isdigit() and len(text) < 16
        return int(text) if is_number else default


class View(Struct, frozen=True, kw_only=True):
    """One view of the results.

    `template` renders the part of the page that changes, from `context`. `document` is the same as
    JSON, and `table` as CSV. A page explains the `problem` of its expression, and a program gets it
    as an error.
    """

    template: str
    title: str
    context: dict[str, Any]
    document: Callable[[], Any]
    table: Callable[[], str] | None = None
    # The part of the navigation that the view belongs to.
    section: str = ""
    problem: UsageError | None = None


class Desk(Struct, frozen=True, kw_only=True, dict=True):
    """The parts that all views of one server share."""

    site: Site
    guard: Guard
    read_only: bool

    @cached_property
    def runs(self) -> RunTable:
        """The rows of all runs."""
        return RunTable(self.site)

    @cached_property
    def memory(self) -> dict[str, Any]:
        """Answers that took long, each with what it was made from."""
        return {}

    @cached_property
    def name(self) -> str:
        """The name of the repository."""
        return self.site.repository.root.name

    @cached_property
    def templates(self) -> Environment:
        return environment()

    def remembered(self, name: str, source: Any, make: Callable[[], Any]) -> Any:
        """Return the answer `name`, made anew if it was made from another `source`."""
        held = self.memory.pop(name, None)
        if held is None or held[0] != source:
            held = source, make()
        self.memory[name] = held
        while len(self.memory) > _MOST_REMEMBERED:
            self.memory.pop(next(iter(self.memory)), None)
        return held[1]


ViewFunction = Callable[[Desk, Query], View]


def environment() -> Environment:
    """Return the environment of the templates, which escapes every value."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  15 ms

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= FILTERS
    return environment
