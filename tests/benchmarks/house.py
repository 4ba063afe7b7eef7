"""Measures of the density of code: python -m tests.benchmarks.house [PATH…] [--offenders]

gitorch was compared with pre-commit, datalad-core, procrastinate and submitit by the same measures.
A code line has at least one token that is neither a comment nor part of a docstring. Rates are per
1,000 code lines. `--offenders` lists the functions and statements above a limit.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

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
    """The measures of one file."""

    path: Path
    lines: int
    tokens: list[int]  # One number for each code line.
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
    functions = instances(tree, Function)
    hidden_imports = 0
    for function in functions:
        hidden_imports += len(list(imports_in(function)))
    return Counts(
        path=path,
        lines=text.count("\n"),
        tokens=tokens_by_line(text, docstrings),
        docstring_lines=len(docstrings),
        own_line_comments=count_own_line_comments(text),
        comprehensions=len(instances(tree, COMPREHENSIONS)),
        conditionals=len(instances(tree, ast.IfExp)),
        lambdas=len(instances(tree, ast.Lambda)),
        walruses=len(instances(tree, ast.NamedExpr)),
        function_lines=list(map(length_of, functions)),
        complexities=list(map(complexity_of, functions)),
        classes=[node.name for node in instances(tree, ast.ClassDef)],
        hidden_imports=hidden_imports,
        offenders=list(offenders_in(path, tree, functions)),
    )


def instances(tree: ast.AST, kind: Any) -> list[Any]:
    """Return the nodes of the tree that are instances of `kind`."""
    return [node for node in ast.walk(tree) if isinstance(node, kind)]


def tokens_by_line(text: str, docstrings: set[int]) -> list[int]:
    """Return the number of tokens of each code line."""
    numbers: Counter[int] = Counter()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if token.type not in LAYOUT and line not in docstrings:
            numbers[line] += 1
    return list(numbers.values())


def count_own_line_comments(text: str) -> int:
    comments = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        before = token.line[: token.start[1]]
        if token.type == tokenize.COMMENT and not before.strip():
            comments += 1
    return comments


def docstring_lines(tree: ast.AST) -> Iterator[int]:
    """Yield the numbers of the lines of all docstrings."""
    for node in ast.walk(tree):
        if (
            isinstance(node, DOCUMENTED)
            and ast.get_docstring(node, clean=False) is not None
        ):
            docstring = node.body[0]
            yield from range(
                docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1
            )


def length_of(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def complexity_of(function: Function) -> int:
    """Return one plus the number of forks. Short-circuit operators and comprehensions count too.

    The comparison of the projects used this definition. ruff's C901 counts only statements and
    gives lower numbers.
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


def offenders_in(
    path: Path, tree: ast.AST, functions: list[Function]
) -> Iterator[Offender]:
    for statement in instances(tree, ast.stmt):
        folded = 0
        for part in own_expressions(statement):
            if isinstance(part, (*COMPREHENSIONS, ast.IfExp)):
                folded += 1
        if folded > 1:
            yield Offender(
                path, statement.lineno, f"{folded} comprehensions or conditionals"
            )
    for loop in instances(tree, (ast.For, ast.comprehension)):
        iterated = loop.iter
        if isinstance(iterated, (ast.List, ast.Tuple)) and len(iterated.elts) == 1:
            yield Offender(path, iterated.lineno, "a loop over one element")
    for function in functions:
        length = length_of(function)
        complexity = complexity_of(function)
        if length > LONGEST_FUNCTION:
            yield Offender(
                path, function.lineno, f"{function.name}: {length} lines"
            )
        if complexity > MOST_COMPLEX:
            yield Offender(
                path, function.lineno, f"{function.name}: complexity {complexity}"
            )


def own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the nodes of a statement except the nodes of nested statements."""
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield from ast.walk(child)


def above(values: list[int], limit: int) -> int:
    """Return how many of the values are above the limit."""
    return len([value for value in values if value > limit])


def percentile(values: list[int], percent: int) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def report(files: list[Counts]) -> None:
    tokens = list(chain.from_iterable(file.tokens for file in files))
    lengths = list(chain.from_iterable(file.function_lines for file in files))
    complexities = list(chain.from_iterable(file.complexities for file in files))

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
    row("functions over 60 lines", above(lengths, LONGEST_FUNCTION))
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
        above(complexities, MOST_COMPLEX),
    )
    row(
        "docstring lines / per 1,000",
        total("docstring_lines"),
        rate("docstring_lines"),
    )
    row(
        "own-line comments / per 1,000",
        total("own_line_comments"),
        rate("own_line_comments"),
    )
    row("imports inside functions", total("hidden_imports"))
    row("class names used twice", ", ".join(names_used_twice(files)) or "none")
    row("offenders", sum(len(file.offenders) for file in files))


def names_used_twice(files: list[Counts]) -> list[str]:
    paths: dict[str, set[Path]] = defaultdict(set)
    for file in files:
        for name in file.classes:
            paths[name].add(file.path)
    return sorted(name for name, defining in paths.items() if len(defining) > 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=[ROOT])
    parser.add_argument("--offenders", action="store_true")
    arguments = parser.parse_args()
    paths: list[Path] = []
    for path in arguments.paths:
        if path.is_dir():
            paths += sorted(path.rglob("*.py"))
        else:
            paths.append(path)
    files = [count(path) for path in paths]
    report(files)
    if arguments.offenders:
        for file in files:
            for offender in file.offenders:
                print(f"{offender.path}:{offender.line}: {offender.what}")


if __name__ == "__main__":
    main()
