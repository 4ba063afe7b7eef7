"""Problems of configs, shown as rustc shows its own, as annotations for GitHub, or counted."""

from __future__ import annotations

from collections.abc import Iterable

from gitorch.cli.style import display_width, paint, plain
from gitorch.model.problem import Problem, Severity
from gitorch.model.text.phrases import counted

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render_problem(problem: Problem, *, colors: bool) -> str:
    """The message, the place, the line with what is meant underlined, and what to do."""
    color = _COLORS[problem.severity]
    gutter = " " * len(str(problem.line))
    bar = paint("|", "blue", on=colors)
    lines = [
        f"{paint(f'{problem.severity}:', 'bold', color, on=colors)} {plain(problem.message)}",
        f"{gutter}{paint('-->', 'blue', on=colors)} {plain(problem.file)}:{problem.line}:{problem.column}",
    ]
    if problem.excerpt:
        excerpt = plain(problem.excerpt.replace("\t", " "))
        start = problem.column - 1
        indent = " " * display_width(excerpt[:start])
        marked = excerpt[start : start + problem.length]
        marks = "^" * max(1, display_width(marked))
        lines += [
            f"{gutter} {bar}",
            f"{paint(str(problem.line), 'blue', on=colors)} {bar} {excerpt}",
            f"{gutter} {bar} {indent}{paint(marks, color, on=colors)}",
        ]
    if problem.hint:
        lines.append(f"{gutter} = {paint('help:', 'bold', on=colors)} {plain(problem.hint)}")
    return "\n".join(lines) + "\n"


def render_github(problem: Problem) -> str:
    """A workflow command (docs.github.com, "Workflow commands for GitHub Actions")."""
    message = problem.message + (f" ({problem.hint})" if problem.hint else "")
    place = f"file={_property(problem.file)},line={problem.line},col={problem.column}"
    return f"::{_GITHUB[problem.severity]} {place}::{_data(message)}"


def render_counts(problems: Iterable[Problem]) -> str:
    """`2 errors, 1 warning`."""
    found = [problem.severity for problem in problems]
    parts = [counted(count, severity) for severity in Severity if (count := found.count(severity))]
    return ", ".join(parts) or "no problems"


def _data(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
