"""Configs that extend other files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitorch.config.bases import merge, rename_bases
from gitorch.config.document import Document
from gitorch.config.pipeline import ConfigContext, LoadedConfig, load_config
from gitorch.config.yaml_parser import parse_document
from tests.config.complaints import marked, said
from tests.config.test_properties import written
from tests.conftest import write

TASKS = "tasks: [{id: train, method: Train}]\n"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty directory the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(file: str) -> LoadedConfig:
    return load_config(Path(file).read_bytes(), file=file, context=ConfigContext())


def params(file: str) -> dict[str, Any]:
    config = load(file)
    assert config.problems == ()
    return config.specs[0].params


def test_a_file_overrides_its_bases_and_later_bases_override_earlier_ones(
    directory: Path,
) -> None:
    write(
        directory,
        "base.yaml",
        "lr: 1\nmodel: {depth: 3, width: 4}\nsizes: [1, 2]\nseed: 1\n",
    )
    write(directory, "more/large.yaml", "model: {width: 8}\nsizes: [9]\nseed: 2\n")
    text = (
        "gitorch: {extends: [base.yaml, more/large.yaml]}\n"
        "model: {drop: 0}\nseed: 3\n"
    )
    write(directory, "a.yaml", text + TASKS)
    assert params("a.yaml") == {
        "lr": 1,
        "model": {"depth": 3, "width": 8, "drop": 0},
        "sizes": [9],
        "seed": 3,
    }
    base, large = load("a.yaml").bases
    assert base.path == directory / "base.yaml"
    assert large.path == directory / "more/large.yaml"
    assert large.data == large.path.read_bytes()


def test_a_path_is_relative_to_the_file_that_contains_it(directory: Path) -> None:
    write(
        directory,
        "shared/base.yaml",
        "gitorch: {extends: parts/sizes.yaml}\nlr: 1\n",
    )
    write(directory, "shared/parts/sizes.yaml", "sizes: [1]\n")
    write(
        directory,
        "experiments/deep/a.yaml",
        f"gitorch: {{extends: ../../shared/base.yaml}}\n{TASKS}",
    )
    assert params("experiments/deep/a.yaml") == {"sizes": [1], "lr": 1}
    os.chdir(directory / "experiments")
    assert params("deep/a.yaml") == {"sizes": [1], "lr": 1}


def test_null_drops_a_key(directory: Path) -> None:
    write(
        directory,
        "base.yaml",
        "lr: 1\nmodel: {depth: 3, width: 4}\ngitorch: {env: {A: 1, B: 2}, priority: 3}\n",
    )
    text = (
        "lr: null\nmodel: {depth: ~}\nnew: {x: null}\n"
        "gitorch: {extends: base.yaml, env: {A: null}, priority: }\n"
    )
    write(directory, "a.yaml", text + TASKS)
    [spec] = load("a.yaml").specs
    assert spec.params == {"model": {"width": 4}, "new": {}}
    assert spec.env == {"B": "2"}
    assert spec.tasks[0].priority == 0
    write(directory, "b.yaml", "lr: null\n" + TASKS)
    assert params("b.yaml") == {"lr": None}


def test_sweeps_are_extended_key_by_key(directory: Path) -> None:
    write(
        directory,
        "base.yaml",
        "gitorch: {matrix: {lr: [1, 2], seed: [1, 2]}, exclude: [{lr: 1, seed: 2}]}\n",
    )
    write(
        directory,
        "a.yaml",
        f"gitorch: {{extends: base.yaml, matrix: {{seed: [2, 3]}}}}\n{TASKS}",
    )
    assert [spec.label for spec in load("a.yaml").specs] == [
        "a lr=1 seed=3",
        "a lr=2 seed=2",
        "a lr=2 seed=3",
    ]


def test_a_problem_points_into_the_file_of_the_value(directory: Path) -> None:
    write(
        directory,
        "base.yaml",
        "# shared\nlr: 1\ngitorch:\n  timeout: soon\n  link: [data, ../x]\n",
    )
    write(
        directory,
        "a.yaml",
        f"gitorch: {{extends: base.yaml, link: [..]}}\noutputDir: '{{lR}}'\n{TASKS}",
    )
    problems = load("a.yaml").problems
    found = [(problem.file, problem.line, marked(problem)) for problem in problems]
    assert found == [
        ("a.yaml", 1, ".."),
        ("a.yaml", 2, "{lR}"),
        ("base.yaml", 4, "soon"),
    ]
    assert problems[2].excerpt == "  timeout: soon"


@pytest.mark.parametrize(
    ("extends", "first_line"),
    [
        (
            "5",
            "1:20: error: 'extends' must be text or a list of texts, not a number",
        ),
        (
            "{a: b.yaml}",
            "1:20: error: 'extends' must be text or a list of texts, not a mapping",
        ),
        (
            "[base.yaml, 5]",
            "1:20: error: 'extends' must be text or a list of texts, not a list",
        ),
        ("", "1:11: error: 'extends' must be text or a list of texts, not nothing"),
        ("[base.yaml, gone.yaml]", "1:32: error: there is no file gone.yaml"),
        (
            "directory.yaml",
            "1:20: error: directory.yaml cannot be read: not a file, but a directory",
        ),
        ("base.txt", "1:20: error: 'base.txt' is not the path of a YAML file"),
        ('"a\\0.yaml"', "1:20: error: 'a\0.yaml' is not the path of a YAML file"),
        (
            "a.yaml",
            "1:20: error: a file cannot extend itself: a.yaml extends a.yaml",
        ),
        (
            "over.yaml",
            "1:20: error: a file cannot extend itself: a.yaml extends over.yaml extends a.yaml",
        ),
        ("list.yaml", "1:1: error: a base must be a mapping, not a list"),
        ("empty.yaml", "1:1: error: the base is empty"),
        (
            "broken.yaml",
            "1:5: error: not valid YAML: did not find expected node content while parsing a "
            "flow node",
        ),
    ],
)
def test_a_base_that_cannot_be_read_is_reported(
    directory: Path, extends: str, first_line: str
) -> None:
    write(directory, "base.yaml", "lr: 1\n")
    write(directory, "over.yaml", "gitorch: {extends: a.yaml}\n")
    write(directory, "list.yaml", "[1]\n")
    write(directory, "empty.yaml", "")
    write(directory, "broken.yaml", "a: [\n")
    (directory / "directory.yaml").mkdir()
    write(
        directory,
        "a.yaml",
        f"gitorch: {{extends: {extends}}}\ntasks: [{{id: a, command: '{{gone}}'}}]\n",
    )
    config = load("a.yaml")
    assert config.specs == ()
    lines = said(config.problems[0]).splitlines()
    assert lines[0] == first_line


def test_at_most_50_files_can_extend_one_another(directory: Path) -> None:
    write(directory, "0.yaml", "n: 0\n")
    for number in range(1, 60):
        base = f"{number - 1}.yaml"
        text = f"gitorch: {{extends: [{base}, {base}]}}\n{TASKS}"
        write(directory, f"{number}.yaml", text)
    assert params("50.yaml") == {"n": 0}
    messages = [problem.message for problem in load("59.yaml").problems]
    assert messages == ["more than 50 files extend one another"] * 2


def test_bases_are_renamed_and_the_rest_of_the_text_is_unchanged(
    directory: Path,
) -> None:
    text = "# mine\r\ngitorch: {extends: [ ../b.yaml, 'c d.yaml' ], priority: 1}  # é\r\n"
    new_paths = {"../b.yaml": "bases/1-b.yaml", "c d.yaml": None}
    renamed = rename_bases(text.encode(), new_paths.get).decode()
    assert renamed == text.replace("../b.yaml", '"bases/1-b.yaml"')


# Few keys and values, so that mappings often have a key in common.
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(0, 2) | st.just("x"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return what the function MergePatch of RFC 7396, section 2, returns."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


@settings(max_examples=200, deadline=None, derandomize=True)
@given(target=MAPPINGS, patch=MAPPINGS)
def test_the_merge_follows_rfc_7396(target: Any, patch: Any) -> None:
    base = parse_document(written(target), "base")
    document = parse_document(written(patch), "document")
    assert document.root is not None
    root = merge(base.root, document.root)
    merged = Document(document.source, root, ())
    assert merged.value == merge_patch(target, patch)
    for key, value in merged.value.items():
        node = merged.node((key,))
        assert node is not None
        if not isinstance(value, dict):
            assert node.span.text == written(value).decode()
