"""Counts what makes code dense: python -m tests.benchmarks.house [PATH…] [--offenders]

The figures are those by which gitorch was compared with pre-commit, datalad-core, procrastinate and
submitit. A code line has at least one token that is neither a comment nor part of a docstring.
Rates are per 1,000 code lines. `--offenders` lists what is above a limit.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2] / "gitorch"

LONGEST_FUNCTION = 60
MOST_COMPLEX = 11
BIGGEST_FILE = 450

Function = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FORKS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.comprehension,
    ast.match_case,
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
LAYOUT = {
    tokenize.ENCODING,
    tokenize.NEWLINE,
    tokenize.NL,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.COMMENT,
}


class Offender(NamedTuple):
    path: Path
    line: int
    what: str


class Counts(NamedTuple):
    """What was counted in one file."""

    path: Path
    lines: int
    tokens: list[int]  # of each code line
    docstring_lines: int
    own_line_comments: int
    comprehensions: int
    conditionals: int
    lambdas: int
    walruses: int
    function_lines: list[int]
    complexities: list[int]
    classes: list[str]
    hidden_imports: int
    offenders: list[Offender]


def count(path: Path) -> Counts:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    docstrings = set(docstring_lines(tree))
    tokens: Counter[int] = Counter()
    comments = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip():
            comments += 1
        if token.type not in LAYOUT and line not in docstrings:
            tokens[line] += 1
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, Function)]
    return Counts(
        path=path,
        lines=text.count("\n"),
        tokens=list(tokens.values()),
        docstring_lines=len(docstrings),
        own_line_comments=comments,
        comprehensions=sum(isinstance(node, COMPREHENSIONS) for node in nodes),
        conditionals=sum(isinstance(node, ast.IfExp) for node in nodes),
        lambdas=sum(isinstance(node, ast.Lambda) for node in nodes),
        walruses=sum(isinstance(node, ast.NamedExpr) for node in nodes),
        function_lines=[length_of(node) for node in functions],
        complexities=[complexity_of(node) for node in functions],
        classes=[node.name for node in nodes if isinstance(node, ast.ClassDef)],
        hidden_imports=sum(len(list(imports_in(node))) for node in functions),
        offenders=list(offenders_in(path, tree, functions)),
    )


def docstring_lines(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            yield from range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1)


def length_of(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def complexity_of(function: Function) -> int:
    """One, and one for each place where the path forks; short-circuit operators and comprehensions fork too.

    This is the definition of the comparison. ruff's C901 counts statements alone and gives lower numbers.
    """
    complexity = 1
    for node in ast.walk(function):
        if isinstance(node, FORKS):
            complexity += 1
        elif isinstance(node, ast.BoolOp):
            complexity += len(node.values) - 1
    return complexity


def imports_in(function: Function) -> Iterator[ast.stmt]:
    for node in ast.walk(function):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node


def offenders_in(path: Path, tree: ast.AST, functions: list[Function]) -> Iterator[Offender]:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            folded = sum(
                isinstance(part, (*COMPREHENSIONS, ast.IfExp)) for part in own_expressions(node)
            )
            if folded > 1:
                yield Offender(path, node.lineno, f"{folded} comprehensions or conditionals")
        if isinstance(node, (ast.For, ast.comprehension)):
            iterated = node.iter
            if isinstance(iterated, (ast.List, ast.Tuple)) and len(iterated.elts) == 1:
                yield Offender(path, iterated.lineno, "a loop over one element")
    for function in functions:
        length, complexity = length_of(function), complexity_of(function)
        if length > LONGEST_FUNCTION:
            yield Offender(path, function.lineno, f"{function.name}: {length} lines")
        if complexity > MOST_COMPLEX:
            yield Offender(path, function.lineno, f"{function.name}: complexity {complexity}")


def own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement without those of the statements nested in it."""
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield from ast.walk(child)


def percentile(values: list[int], percent: int) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def report(files: list[Counts]) -> None:
    tokens = [number for file in files for number in file.tokens]
    lengths = [number for file in files for number in file.function_lines]
    complexities = [number for file in files for number in file.complexities]

    def total(field: str) -> int:
        return sum(getattr(file, field) for file in files)

    def rate(field: str) -> str:
        return f"{1000 * total(field) / len(tokens):.1f}"

    def row(name: str, *values: object) -> None:
        print(f"{name:38} {' / '.join(map(str, values))}")

    biggest = max(files, key=lambda file: file.lines)
    row("files / lines / code lines", len(files), total("lines"), len(tokens))
    row("biggest file", f"{biggest.lines} ({biggest.path.name})")
    row("functions", len(lengths))
    row(
        "function length, median / p90 / max",
        round(statistics.median(lengths)),
        percentile(lengths, 90),
        max(lengths),
    )
    row("functions over 60 lines", sum(length > LONGEST_FUNCTION for length in lengths))
    row(
        "tokens in a code line, mean / p90",
        f"{statistics.mean(tokens):.2f}",
        percentile(tokens, 90),
    )
    row("comprehensions per 1,000", rate("comprehensions"))
    row("conditional expressions per 1,000", rate("conditionals"))
    row("walrus / lambda per 1,000", rate("walruses"), rate("lambdas"))
    row(
        "complexity, p90 / max / over 11",
        percentile(complexities, 90),
        max(complexities),
        sum(number > MOST_COMPLEX for number in complexities),
    )
    row("docstring lines / per 1,000", total("docstring_lines"), rate("docstring_lines"))
    row("own-line comments / per 1,000", total("own_line_comments"), rate("own_line_comments"))
    row("imports inside functions", total("hidden_imports"))
    row("class names used twice", ", ".join(names_used_twice(files)) or "none")
    row("offenders", sum(len(file.offenders) for file in files))


def names_used_twice(files: list[Counts]) -> list[str]:
    places: dict[str, set[Path]] = defaultdict(set)
    for file in files:
        for name in file.classes:
            places[name].add(file.path)
    return sorted(name for name, found in places.items() if len(found) > 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=[ROOT])
    parser.add_argument("--offenders", action="store_true")
    arguments = parser.parse_args()
    paths = [
        path
        for place in arguments.paths
        for path in (sorted(place.rglob("*.py")) if place.is_dir() else [place])
    ]
    files = [count(path) for path in paths]
    report(files)
    if arguments.offenders:
        for file in files:
            for offender in file.offenders:
                print(f"{offender.path}:{offender.line}: {offender.what}")


if __name__ == "__main__":
    main()
