"""The ids of tasks, and what each task needs."""

from __future__ import annotations

import pytest

from tests.config.complaints import complaints, load


@pytest.mark.parametrize(
    "task", [".", "..", ".GIT", "a b", "a/b", "", "ä", "a\\n", "x" * 101]
)
def test_an_unusable_id_is_refused(task: str) -> None:
    config = load(f'tasks: [{{id: "{task}", method: A}}]')
    assert [(problem.line, problem.column) for problem in config.problems] == [
        (1, 14)
    ]


def needs(*tasks: str) -> str:
    return "tasks:\n" + "".join(f"  - {{{task}, command: x}}\n" for task in tasks)


def test_a_task_without_needs_needs_the_task_before_it() -> None:
    (spec,) = load(
        needs("id: a", "id: b", "id: c, needs: [a]", "id: d, needs: []", "id: e")
    ).specs
    assert [task.needs for task in spec.tasks] == [(), ("a",), ("a",), (), ("d",)]


def test_a_task_may_need_a_later_one() -> None:
    (spec,) = load(needs("id: a, needs: [b]", "id: b, needs: []")).specs
    assert [task.needs for task in spec.tasks] == [("b",), ()]


@pytest.mark.parametrize(
    ("tasks", "place", "circle"),
    [
        (("id: a, needs: [a]",), "2:20", "a needs a"),
        (("id: a, needs: [b]", "id: b"), "2:20", "a needs b, b needs a"),
        (
            ("id: x", "id: a, needs: [c]", "id: b", "id: c"),
            "3:20",
            "c needs b, b needs a",
        ),
    ],
)
def test_a_circle_is_refused(
    tasks: tuple[str, ...], place: str, circle: str
) -> None:
    (complaint, hint) = complaints(needs(*tasks)).split("\n")
    assert complaint.startswith(f"{place}: error: the tasks wait for each other: ")
    assert set(circle.split(", ")) <= set(complaint.split(": ")[-1].split(", "))
    assert "'needs: []' needs none" in hint


def test_a_needed_task_must_exist() -> None:
    assert complaints(needs("id: prepare", "id: b, needs: [prepar, prepare]")) == (
        "3:21: error: there is no task 'prepar', did you mean 'prepare'?\n"
        "  the tasks are: prepare, b"
    )
