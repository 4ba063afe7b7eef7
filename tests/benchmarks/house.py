"""Counts what makes code dense: python -m tests.benchmarks.house [PATH…] [--offenders]

The figures are those by which gitorch was compared with pre-commit, datalad-core, procrastinate and submitit. A code line
has at least one token that is neither a comment nor part of a docstring. Rates are per 1,000 code lines. `--offenders`
lists the statements and functions that are above a limit.
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
        if (
            isinstance(node, DOCUMENTED)
            and node.body
            and ast.get_docstring(node, clean=False) is not None
        ):
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
        if length_of(function) > LONGEST_FUNCTION:
            yield Offender(path, function.lineno, f"{function.name}: {length_of(function)} lines")
        if complexity_of(function) > MOST_COMPLEX:
            yield Offender(
                path, function.lineno, f"{function.name}: complexity {complexity_of(function)}"
            )


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
    function_lines = [number for file in files for number in file.function_lines]
    complexities = [number for file in files for number in file.complexities]
    code_lines = len(tokens)
    places = defaultdict(list)
    for file in files:
        for name in file.classes:
            places[name].append(file.path)
    twice = sorted(name for name, found in places.items() if len(found) > 1)
    biggest = max(files, key=lambda file: file.lines)

    def rate(number: int) -> str:
        return f"{1000 * number / code_lines:.1f}"

    rows = {
        "files / lines / code lines": f"{len(files)} / {sum(f.lines for f in files)} / {code_lines}",
        "biggest file": f"{biggest.lines} ({biggest.path.name})",
        "functions": str(len(function_lines)),
        "function length median / p90 / max": (
            f"{statistics.median(function_lines):.0f} / {percentile(function_lines, 90)} / {max(function_lines)}"
        ),
        "functions over 60 lines": str(sum(length > LONGEST_FUNCTION for length in function_lines)),
        "tokens in a code line, mean / p90": f"{statistics.mean(tokens):.2f} / {percentile(tokens, 90)}",
        "comprehensions per 1,000": rate(sum(f.comprehensions for f in files)),
        "conditional expressions per 1,000": rate(sum(f.conditionals for f in files)),
        "walrus / lambda per 1,000": (
            f"{rate(sum(f.walruses for f in files))} / {rate(sum(f.lambdas for f in files))}"
        ),
        "complexity p90 / max / over 11": (
            f"{percentile(complexities, 90)} / {max(complexities)} / "
            f"{sum(number > MOST_COMPLEX for number in complexities)}"
        ),
        "docstring lines (per 1,000)": (
            f"{sum(f.docstring_lines for f in files)} ({rate(sum(f.docstring_lines for f in files))})"
        ),
        "own-line comments (per 1,000)": (
            f"{sum(f.own_line_comments for f in files)} ({rate(sum(f.own_line_comments for f in files))})"
        ),
        "imports inside functions": str(sum(f.hidden_imports for f in files)),
        "class names used twice": ", ".join(twice) or "none",
        "offenders": str(sum(len(f.offenders) for f in files)),
    }
    for name, value in rows.items():
        print(f"{name:38} {value}")


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
