"""The programs of the runner use only the standard library and syntax of Python 3.8."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitorch import runner

FILES = sorted(Path(runner.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_python_3_8_and_the_standard_library(path: Path) -> None:
    parsed = ast.parse(path.read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(parsed)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    # Beside the program, or on the PYTHONPATH of attempts.
    own = {"gitorch_task", "gitorch_recorder", "sitecustomize"}
    assert imported <= own | set(sys.stdlib_module_names)
    is_postponed = "annotations" in {
        alias.name
        for node in parsed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    # The annotations of later Pythons do no harm where they are not evaluated.
    assert is_postponed or all(
        isinstance(annotation, ast.Constant | ast.Name | None)
        for annotation in _evaluated(parsed)
    )


def _evaluated(parsed: ast.Module) -> Iterator[ast.expr | None]:
    """Yield the annotations that Python evaluates, unless that is postponed (PEP 563)."""
    for node in ast.walk(parsed):
        match node:
            case ast.FunctionDef():
                yield node.returns
            case ast.arg():
                yield node.annotation
    for node in parsed.body:
        if isinstance(node, ast.AnnAssign):
            yield node.annotation
