"""Problems of configs as text: in the style of rustc, as annotations for GitHub, or counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from gitorch.cli.style import display_width, paint, plain
from gitorch.model.problem import Problem, Severity
from gitorch.model.text.phrases import counted, some

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_MOST_POSITIONS = 3  # in a line
_GITHUB = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "notice",
}


def render_problems(problems: Iterable[Problem], *, colors: bool) -> Iterator[str]:
    """Yield the text of each problem, once if several files or lines have it.

    A mistake in the program that writes the configs of an experiment is in hundreds of files.
    """
    alike: dict[Problem, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(replace(problem, file="", line=1), []).append(problem)
    for first, *others in alike.values():
        yield render_problem(first, others, colors=colors)


def render_problem(
    problem: Problem, others: Sequence[Problem] = (), *, colors: bool
) -> str:
    """Return the message, the position, the line with the mistake underlined, and the hint.

    `others` are the same problem at other positions.
    """
    color = _COLORS[problem.severity]
    severity = paint(f"{problem.severity}:", "bold", color, on=colors)
    gutter = " " * len(str(problem.line))
    arrow = paint("-->", "blue", on=colors)
    position = _position(problem)
    lines = [f"{severity} {plain(problem.message)}", f"{gutter}{arrow} {position}"]
    if problem.excerpt:
        lines += _excerpt_lines(problem, gutter, colors)
    if problem.hint:
        hint = plain(problem.hint).replace("\n", f"\n{gutter}   ")
        lines.append(f"{gutter} = {paint('help:', 'bold', on=colors)} {hint}")
    if others:
        positions = some([_position(other) for other in others], _MOST_POSITIONS)
        note = paint("note:", "bold", on=colors)
        lines.append(f"{gutter} = {note} the same at {positions}")
    return "\n".join(lines) + "\n"


def _position(problem: Problem) -> str:
    return f"{plain(problem.file)}:{problem.line}:{problem.column}"


def _excerpt_lines(problem: Problem, gutter: str, colors: bool) -> list[str]:
    excerpt = plain(problem.excerpt.replace("\t", " "))
    start = problem.column - 1
    indent = " " * display_width(excerpt[:start])
    marked = excerpt[start : start + problem.length]
    marks = paint(
        "^" * max(1, display_width(marked)), _COLORS[problem.severity], on=colors
    )
    bar = paint("|", "blue", on=colors)
    number = paint(str(problem.line), "blue", on=colors)
    return [
        f"{gutter} {bar}",
        f"{number} {bar} {excerpt}",
        f"{gutter} {bar} {indent}{marks}",
    ]


def render_github(problem: Problem) -> str:
    """Return a workflow command (docs.github.com, "Workflow commands for GitHub Actions")."""
    message = problem.message
    if problem.hint:
        message += f" ({problem.hint})"
    position = (
        f"file={_property(problem.file)},line={problem.line},col={problem.column}"
    )
    return f"::{_GITHUB[problem.severity]} {position}::{_data(message)}"


def render_counts(problems: Iterable[Problem]) -> str:
    """Return the numbers of problems as `2 errors, 1 warning`."""
    severities = [problem.severity for problem in problems]
    parts = []
    for severity in Severity:
        count = severities.count(severity)
        if count:
            parts.append(counted(count, severity))
    return ", ".join(parts) or "no problems"


def _data(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
