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
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(file: str) -> LoadedConfig:
    return load_config(Path(file).read_bytes(), file=file, context=ConfigContext())


def params(file: str) -> dict[str, Any]:
    config = load(file)
    assert config.problems == ()
    return config.specs[0].params


def test_a_file_overrides_its_bases_and_later_bases_override_earlier_ones(
    here: Path,
) -> None:
    write(
        here,
        "base.yaml",
        "lr: 1\nmodel: {depth: 3, width: 4}\nsizes: [1, 2]\nseed: 1\n",
    )
    write(here, "more/large.yaml", "model: {width: 8}\nsizes: [9]\nseed: 2\n")
    write(
        here,
        "a.yaml",
        f"gitorch: {{extends: [base.yaml, more/large.yaml]}}\nmodel: {{drop: 0}}\nseed: 3\n{TASKS}",
    )
    assert params("a.yaml") == {
        "lr": 1,
        "model": {"depth": 3, "width": 8, "drop": 0},
        "sizes": [9],
        "seed": 3,
    }
    config = load("a.yaml")
    assert [base.path for base in config.bases] == [
        here / "base.yaml",
        here / "more/large.yaml",
    ]
    assert config.bases[1].data == (here / "more/large.yaml").read_bytes()


def test_a_path_is_relative_to_the_file_that_contains_it(here: Path) -> None:
    write(here, "shared/base.yaml", "gitorch: {extends: parts/sizes.yaml}\nlr: 1\n")
    write(here, "shared/parts/sizes.yaml", "sizes: [1]\n")
    write(
        here,
        "experiments/deep/a.yaml",
        f"gitorch: {{extends: ../../shared/base.yaml}}\n{TASKS}",
    )
    assert params("experiments/deep/a.yaml") == {"sizes": [1], "lr": 1}
    os.chdir(here / "experiments")
    assert params("deep/a.yaml") == {"sizes": [1], "lr": 1}


def test_null_drops_a_key(here: Path) -> None:
    write(
        here,
        "base.yaml",
        "lr: 1\nmodel: {depth: 3, width: 4}\ngitorch: {env: {A: 1, B: 2}, priority: 3}\n",
    )
    text = (
        "lr: null\nmodel: {depth: ~}\nnew: {x: null}\n"
        "gitorch: {extends: base.yaml, env: {A: null}, priority: }\n"
    )
    write(here, "a.yaml", text + TASKS)
    (spec,) = load("a.yaml").specs
    assert (spec.params, spec.env, spec.tasks[0].priority) == (
        {"model": {"width": 4}, "new": {}},
        {"B": "2"},
        0,
    )
    write(here, "b.yaml", "lr: null\n" + TASKS)
    assert params("b.yaml") == {"lr": None}


def test_sweeps_are_extended_key_by_key(here: Path) -> None:
    write(
        here,
        "base.yaml",
        "gitorch: {matrix: {lr: [1, 2], seed: [1, 2]}, exclude: [{lr: 1, seed: 2}]}\n",
    )
    write(
        here,
        "a.yaml",
        f"gitorch: {{extends: base.yaml, matrix: {{seed: [2, 3]}}}}\n{TASKS}",
    )
    assert [spec.label for spec in load("a.yaml").specs] == [
        f"a lr={lr} seed={seed}" for lr, seed in ((1, 3), (2, 2), (2, 3))
    ]


def test_a_problem_points_into_the_file_of_the_value(here: Path) -> None:
    write(
        here,
        "base.yaml",
        "# shared\nlr: 1\ngitorch:\n  timeout: soon\n  link: [data, ../x]\n",
    )
    write(
        here,
        "a.yaml",
        f"gitorch: {{extends: base.yaml, link: [..]}}\noutputDir: '{{lR}}'\n{TASKS}",
    )
    problems = load("a.yaml").problems
    assert [
        (problem.file, problem.line, marked(problem)) for problem in problems
    ] == [
        ("a.yaml", 1, ".."),
        ("a.yaml", 2, "{lR}"),
        ("base.yaml", 4, "soon"),
    ]
    assert problems[2].excerpt == "  timeout: soon"


@pytest.mark.parametrize(
    ("extends", "told"),
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
        ("directory.yaml", "1:20: error: there is no file directory.yaml"),
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
    here: Path, extends: str, told: str
) -> None:
    write(here, "base.yaml", "lr: 1\n")
    write(here, "over.yaml", "gitorch: {extends: a.yaml}\n")
    write(here, "list.yaml", "[1]\n")
    write(here, "empty.yaml", "")
    write(here, "broken.yaml", "a: [\n")
    (here / "directory.yaml").mkdir()
    write(
        here,
        "a.yaml",
        f"gitorch: {{extends: {extends}}}\ntasks: [{{id: a, command: '{{gone}}'}}]\n",
    )
    config = load("a.yaml")
    assert config.specs == ()
    assert said(config.problems[0]).splitlines()[0] == told


def test_many_files_that_extend_one_another(here: Path) -> None:
    write(here, "0.yaml", "n: 0\n")
    for number in range(1, 60):
        write(
            here,
            f"{number}.yaml",
            f"gitorch: {{extends: [{number - 1}.yaml, {number - 1}.yaml]}}\n{TASKS}",
        )
    assert params("50.yaml") == {"n": 0}
    assert [problem.message for problem in load("59.yaml").problems] == [
        "more than 50 files extend one another"
    ] * 2


def test_bases_are_renamed_and_the_rest_of_the_text_is_unchanged(
    here: Path,
) -> None:
    text = "# mine\r\ngitorch: {extends: [ ../b.yaml, 'c d.yaml' ], priority: 1}  # é\r\n"
    moved = rename_bases(
        text.encode(), {"../b.yaml": "bases/1-b.yaml", "c d.yaml": None}.get
    )
    assert (
        moved.decode()
        == "# mine\r\ngitorch: {extends: [ \"bases/1-b.yaml\", 'c d.yaml' ], priority: 1}  # é\r\n"
    )


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(0, 2) | st.just("x"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def patched(under: Any, over: Any) -> Any:
    """Merge as RFC 7396, section 2, says word for word."""
    if not isinstance(over, dict):
        return over
    under = dict(under) if isinstance(under, dict) else {}
    for name, value in over.items():
        if value is None:
            under.pop(name, None)
        else:
            under[name] = patched(under.get(name), value)
    return under


@settings(max_examples=200, deadline=None, derandomize=True)
@given(under=MAPPINGS, over=MAPPINGS)
def test_the_merge_is_that_of_rfc_7396(under: Any, over: Any) -> None:
    nodes = [
        parse_document(written(value), name)
        for value, name in ((under, "under"), (over, "over"))
    ]
    below, above = (node.root for node in nodes)
    assert above is not None
    found = Document(nodes[1].source, merge(below, above), ())
    assert found.value == patched(under, over)
    for key, value in found.value.items():
        node = found.node((key,))
        assert node is not None
        if not isinstance(value, dict):
            assert node.span.text == written(value).decode()
