"""The points that a sweep makes of its lists."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.sweep import Sweep, at_point, parse_range
from gitorch.model.text.keys import Target, target_of

SEEDS: dict[str, Any] = {"lr": [0.1, 0.01], "seed": [1, 2, 3]}


def test_the_last_key_changes_fastest() -> None:
    assert Sweep(matrix=SEEDS).points() == [
        {"lr": lr, "seed": seed} for lr in (0.1, 0.01) for seed in (1, 2, 3)
    ]


def test_lists_taken_together_are_one_more_dimension() -> None:
    assert Sweep(zipped={"a": [1, 2], "b": "xy"}).points() == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    points = Sweep(
        matrix={"lr": [0.1, 0.2]}, zipped={"a": [1, 2], "b": "xy"}
    ).points()
    assert points == [
        {"lr": lr, "a": a, "b": b}
        for lr in (0.1, 0.2)
        for a, b in ((1, "x"), (2, "y"))
    ]


def test_an_exclusion_need_not_name_every_key() -> None:
    sweep = Sweep(
        matrix=SEEDS, exclude=[{"lr": 0.1, "seed": 2}, {"seed": 3}, {"lr": 7}]
    )
    assert [tuple(point.values()) for point in sweep.points()] == [
        (0.1, 1),
        (0.01, 1),
        (0.01, 2),
    ]
    assert Sweep(matrix=SEEDS, exclude=[{"lr": 0.1}, {"lr": 0.01}]).points() == []


def test_include_as_github_documents_it() -> None:
    """See docs.github.com, "Expanding or adding matrix configurations"."""
    sweep = Sweep(
        matrix={"fruit": ["apple", "pear"], "animal": ["cat", "dog"]},
        include=[
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    )
    assert sweep.points() == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    assert sweep.keys == ("fruit", "animal", "color", "shape")


def test_include_comes_after_exclude() -> None:
    sweep = Sweep(
        matrix={"seed": [1, 2]},
        exclude=[{"seed": 1}],
        include=[{"seed": 1, "lr": 0.5}],
    )
    assert sweep.points() == [{"seed": 2}, {"seed": 1, "lr": 0.5}]


def test_include_alone_makes_a_point_each() -> None:
    assert Sweep(include=[{"lr": 0.1}, {"lr": 0.2, "seed": 1}]).points() == [
        {"lr": 0.1},
        {"lr": 0.2, "seed": 1},
    ]


def test_the_same_point_twice_is_one() -> None:
    sweep = Sweep(
        matrix={"a": [1, 2, 1.0, [1], [1]]},
        include=[{"a": 3}, {"b": 1, "a": 9}, {"a": 9, "b": 1}],
    )
    assert sweep.points() == [
        {"a": 1},
        {"a": 2},
        {"a": [1]},
        {"a": 3},
        {"a": 9, "b": 1},
    ]


def test_the_largest_number_of_points_is_known_before_any_is_made() -> None:
    huge = range(10**15)
    sweep = Sweep(
        matrix={"a": huge, "b": huge},
        zipped={"c": huge, "d": huge},
        include=[{"a": -1}],
    )
    assert sweep.most == 10**45 + 1
    assert Sweep().most == 0
    assert Sweep(matrix=SEEDS).most == 6


VALUES = st.integers(0, 2)
POINTS = st.lists(
    st.dictionaries(st.sampled_from("abxy"), VALUES, min_size=1), max_size=5
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    matrix=st.dictionaries(
        st.sampled_from("ab"), st.lists(VALUES, min_size=1, max_size=3, unique=True)
    ),
    exclude=POINTS,
    include=POINTS,
)
def test_the_rules_one_by_one(
    matrix: dict[str, list[int]], exclude: list[Any], include: list[Any]
) -> None:
    """Compare with the rules as GitHub words them, applied without short cuts."""
    exclude = [values for values in exclude if values.keys() <= matrix.keys()]
    originals: list[dict[str, int]] = [{}] if matrix else []
    for key, values in matrix.items():
        originals = [
            {**point, key: value} for point in originals for value in values
        ]
    originals = [
        point
        for point in originals
        if not any(values.items() <= point.items() for values in exclude)
    ]
    points = [dict(point) for point in originals]
    for extra in include:
        fits = [
            all(original.get(key, value) == value for key, value in extra.items())
            for original in originals
        ]
        for fit, point in zip(fits, points[: len(originals)], strict=True):
            if fit:
                point.update(extra)
        if not any(fits):
            points.append(extra)
    unique = [
        point for number, point in enumerate(points) if point not in points[:number]
    ]
    assert Sweep(matrix=matrix, exclude=exclude, include=include).points() == unique


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("range(3)", [0, 1, 2]),
        ("range(1,6)", [1, 2, 3, 4, 5]),
        (" range( 1, 10 , 4 ) ", [1, 5, 9]),
        ("range(2, 2)", []),
        ("range(3,-3,-2)", [3, 1, -1]),
    ],
)
def test_ranges_have_the_meaning_of_python(text: str, values: list[int]) -> None:
    found = parse_range(text)
    assert found is not None
    assert list(found) == values


@pytest.mark.parametrize(
    "text",
    ["", "range", "range()", "range(a)", "range(1.5)", "range(1,2,3,4)", "1..3"],
)
def test_other_texts_are_not_ranges(text: str) -> None:
    assert parse_range(text) is None


def test_a_range_with_step_0_is_refused() -> None:
    with pytest.raises(ValueError, match="zero"):
        parse_range("range(1, 2, 0)")


SPEC = RunSpec(
    name="penguins",
    document={
        "lr": 1,
        "model": {"depth": 3, "width": {"inner": 8}},
        "odd.name": 0,
        "tasks": [
            {"id": "train", "method": "Train", "epochs": 5},
            {"id": "train.more", "method": "Train"},
        ],
    },
    tasks=(
        TaskSpec(id="train", method="Train", params={"epochs": 5}),
        TaskSpec(id="train.more", method="Train", needs=("train",)),
    ),
)
IDS = ("train", "train.more")


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("lr", Target(None, ("lr",))),
        ("new", Target(None, ("new",))),
        ("model.depth", Target(None, ("model", "depth"))),
        ("odd.name", Target(None, ("odd.name",))),
        ("tasks.train.epochs", Target("train", ("epochs",))),
        ("tasks.train.optimizer.lr", Target("train", ("optimizer", "lr"))),
        ("tasks.train.more.epochs", Target("train.more", ("epochs",))),
        ("tasks.train.more", Target("train", ("more",))),
    ],
)
def test_the_target_of_a_key(key: str, target: Target) -> None:
    assert target_of(key, SPEC.document, IDS) == target


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "tasks.train",
        "tasks.trian.epochs",
        "tasks.train.",
    ],
)
def test_keys_without_a_target(key: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not a dotted name|does not name a task"
    ):
        target_of(key, SPEC.document, IDS)


def laid(point: dict[str, Any]) -> RunSpec:
    return at_point(
        SPEC, point, {key: target_of(key, SPEC.document, IDS) for key in point}
    )


def test_a_point_replaces_values_of_the_file() -> None:
    before = SPEC.to_json()
    spec = laid(
        {
            "lr": 0.5,
            "model.width.inner": 9,
            "odd.name": 1,
            "tasks.train.epochs": 7,
            "tasks.train.more.a.b": "x",
        }
    )
    assert spec.document == {
        "lr": 0.5,
        "model": {"depth": 3, "width": {"inner": 9}},
        "odd.name": 1,
        "tasks": [
            {"id": "train", "method": "Train", "epochs": 7},
            {"id": "train.more", "method": "Train", "a": {"b": "x"}},
        ],
    }
    assert [task.params for task in spec.tasks] == [
        {"epochs": 7},
        {"a": {"b": "x"}},
    ]
    label = (
        "penguins lr=0.5 model.width.inner=9 odd.name=1 "
        "tasks.train.epochs=7 tasks.train.more.a.b=x"
    )
    assert spec.label == label
    assert RunSpec.from_json(spec.to_json()).label == label
    assert SPEC.to_json() == before


def test_a_label_has_the_keys_of_its_point_only() -> None:
    assert (
        laid({"model.depth": [1, {"a": None}]}).label
        == "penguins model.depth=[1,{a:null}]"
    )
    assert laid({}).label == "penguins"


def test_a_label_is_one_line() -> None:
    assert laid({"lr": "a\nb"}).label == r"penguins lr=a\nb"


def test_ten_thousand_points_are_applied_quickly() -> None:
    sweep = Sweep(
        matrix={
            "lr": range(100),
            "model.depth": range(50),
            "tasks.train.epochs": [1, 2],
        },
        exclude=[{"lr": lr, "model.depth": lr % 50} for lr in range(100)],
        include=[{"lr": lr, "new": lr} for lr in range(100)],
    )
    targets = {key: target_of(key, SPEC.document, IDS) for key in sweep.keys}
    start = time.process_time()
    specs = [at_point(SPEC, point, targets) for point in sweep.points()]
    assert len(specs) == 9_800
    assert time.process_time() - start < 2  # 0.2 on an idle machine
