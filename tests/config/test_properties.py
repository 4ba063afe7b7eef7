"""Random files: each can run, or has problems at positions in it; nothing raises."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitorch.config.discovery import is_config
from gitorch.config.pipeline import ConfigContext, load_config
from gitorch.config.schema import schema
from gitorch.model.problem import Severity
from gitorch.model.run.ids import is_id_prefix
from gitorch.model.run.spec import OWN_KEYS, OWN_TASK_KEYS, RunSpec, task_config
from gitorch.model.text.placeholders import fill, fill_text
from gitorch.model.text.quantities import LARGEST, LONGEST

CONTEXT = ConfigContext(
    root=Path(__file__).parent, remotes={"origin": "git@example.org:owner/name.git"}
)
QUICK = settings(max_examples=100, deadline=None, derandomize=True)


def check(data: bytes) -> None:
    config = load_config(data, file="experiments/some.yaml", context=CONTEXT)
    lines = (
        config.document.source.text.replace("\r\n", "\n")
        .replace("\r", "\n")
        .split("\n")
    )
    for problem in config.problems:
        line = lines[problem.line - 1]
        assert 1 <= problem.column <= len(line) + 1
        assert 1 <= problem.length <= max(1, len(line) - problem.column + 1)
        assert problem.excerpt in (line, "")
        assert problem.message.strip()
    refused = any(problem.severity is Severity.ERROR for problem in config.problems)
    assert refused is (config.specs == ())
    for spec in config.specs:
        check_can_run(spec)
        assert is_config(data)


def check_can_run(spec: RunSpec) -> None:
    """Check everything that later code relies on."""
    assert (
        RunSpec.from_json(json.loads(json.dumps(spec.to_json(), allow_nan=False)))
        == spec
    )
    json.dumps(spec.to_json(), ensure_ascii=False).encode()
    assert spec.name.isprintable()
    assert not is_id_prefix(spec.name)
    for place in (
        spec.path_to_tasks,
        *spec.link,
        *(path for task in spec.tasks for path in task.outputs + task.metrics),
    ):
        assert ".." not in PurePosixPath(place).parts
        assert not place.startswith("/")
    assert all(
        "\0" not in name + value and isinstance(value, str)
        for name, value in spec.env.items()
    )
    if spec.output_dir is not None:
        fill_text(
            spec.output_dir,
            {**spec.params, **dict.fromkeys(("date", "time", "id", "name"), "x")},
        )
    done: set[str] = set()
    ids = {task.id for task in spec.tasks}
    assert len({task_id.lower() for task_id in ids}) == len(spec.tasks) > 0
    for _ in spec.tasks:
        done |= {task.id for task in spec.tasks if set(task.needs) <= done}
    assert done == ids
    for task in spec.tasks:
        assert (task.method is None) is not (task.command is None)
        assert task.timeout_s is None or 0 < task.timeout_s <= LONGEST
        if task.retries is not None:
            assert 0 <= task.retries.max <= 10**6
            assert task.retries.on
            assert 0 <= task.retries.backoff_s <= LONGEST
        assert -(10**6) <= task.priority <= 10**6
        assert 0 <= task.resources.cpus <= 10**6
        assert 0 <= task.resources.gpus <= 10**6
        assert 0 <= task.resources.memory_bytes <= LARGEST
        whole = [
            task.priority,
            task.resources.gpus,
            task.resources.memory_bytes,
            task.retries and task.retries.max,
        ]
        assert {type(number) for number in whole} <= {int, type(None)}
        if task.command is not None:
            filled = fill(task.command, task_config(spec, task, "/out"))
            assert filled
            assert "\0" not in "".join(filled)


ODD_TEXTS = [
    "", " ", ".", "..", "../x", "/", "/etc/passwd", "~", "-", "-x", "@", "@~1", "a/b", "a\\b", "\0", "/\0", "\n", "\t",
    "a\nb", "cafe", "0000", "x" * 5000, "'", '"', "{", "}", "{}", "{x}", "{id}", "{outputDir}", "'{lr}'", "{lr.x}",
    "{{lr}}", "${lr}", "$(", "`", "#", "<<E\n{lr}", "\\", "yes", "null", "1e999", ".nan", "\u202e", "\u2028", "\x85",
    "\ud7ff", "😀", "é", "[/red]", "\x1b[31m", ".git", "CON", "a" * 256, "https://", "git@example.org:owner/name",
    "Tasks.py", "train", "Train", "*", "**/*", "[", "!x",
    "2h", "1h30m", "1h 30m", "30m1h", "0s", "-1s", "1e3s", "3652d", "9" * 39 + "d", "9" * 5000, "h", "1.s", "٣s", "²d",
    "8GiB", "8 g", "0", "0.4B", "9" * 39 + "TB", "1EiB", "8Kib", "8\u212a", "timeout", "lost", "1:30",
]  # fmt: skip
TEXTS = st.sampled_from(ODD_TEXTS) | st.text(max_size=12)
SCALARS = (
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        [10**30, 10**900, -1, 0, 1, 2, 1.0, 2.5, 1e300, 5e-324, float("inf")]
    )
)
SETTINGS = list(schema()["definitions"]["fileSettings"]["properties"])
KEYS = (
    st.sampled_from(
        [*OWN_KEYS, *OWN_TASK_KEYS, *SETTINGS, "task", "comand", "lr", "<<"]
    )
    | TEXTS
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=8,
)

INNER = ("retries", "resources")
PATHS: list[tuple[str, ...]] = [
    *((key,) for key in sorted(OWN_KEYS)),
    *(("gitorch", key) for key in SETTINGS),
    *(("task", key) for key in sorted(OWN_TASK_KEYS)),
    *(
        ("task", "gitorch", key)
        for key in schema()["definitions"]["taskSettings"]["properties"]
    ),
    *(
        ("gitorch", key, inner)
        for key in INNER
        for inner in schema()["definitions"][key]["properties"]
    ),
]


def config_with(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a config that is valid except for the value at `path`; `task` is its second task."""
    task: dict[str, Any] = {"id": "train", "command": "train {lr}", "gitorch": {}}
    config: dict[str, Any] = {
        "lr": 0.1,
        "gitorch": {},
        "tasks": [{"id": "prepare", "method": "Prepare"}, task],
    }
    place = task if path[0] == "task" else config
    if path[1:-1] == ("retries",):
        config["gitorch"]["retries"] = {"max": 1}
    for key in path[path[0] == "task" : -1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    if path == ("task", "method"):
        del task["command"]
    return config


def written(value: Any) -> bytes:
    """Return a value as YAML.

    JSON is YAML except for its escapes of characters beyond 16 bits, so those are not escaped.
    """
    text = json.dumps(value, ensure_ascii=False)
    for said, meant in (
        ("NaN", ".nan"),
        ("-Infinity", "-.inf"),
        ("Infinity", "1e999"),
    ):
        text = text.replace(said, meant)
    return text.encode(errors="replace")


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_any_value_of_any_key(path: tuple[str, ...]) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(
        value=VALUES
        | st.lists(TEXTS, max_size=4)
        | st.dictionaries(KEYS, SCALARS, max_size=4)
    )
    def check_one(value: Any) -> None:
        check(written(config_with(path, value)))

    check_one()
    for text in ODD_TEXTS:
        check(written(config_with(path, text)))
        check(written(config_with(path, [text])))
        check(written(config_with(path, {text: text})))


@QUICK
@given(value=st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_mapping(value: dict[str, Any]) -> None:
    check(written(value))


@QUICK
@given(
    tasks=st.lists(
        st.dictionaries(st.sampled_from(sorted(OWN_TASK_KEYS)), VALUES, max_size=4),
        max_size=4,
    )
)
def test_any_tasks(tasks: list[dict[str, Any]]) -> None:
    check(written({"tasks": tasks}))


TASK_IDS = st.sampled_from(["a", "b", "c", "d", "B"])


@QUICK
@given(
    tasks=st.lists(
        st.fixed_dictionaries(
            {"id": TASK_IDS, "command": st.just("x")},
            optional={"needs": st.lists(TASK_IDS)},
        ),
        max_size=5,
        unique_by=lambda task: task["id"],
    )
)
def test_any_order_of_tasks(tasks: list[dict[str, Any]]) -> None:
    check(written({"tasks": tasks}))


@QUICK
@given(
    text=st.text(
        st.sampled_from("ab1é:- \n\r\t{}[],&*!|>'\"%@`#?<~.\\\u2028\ufeff"),
        max_size=40,
    )
    | st.text()
)
def test_any_text(text: str) -> None:
    check(text.encode(errors="replace"))
    check(b"tasks: [{id: a, method: A}]\n" + text.encode(errors="replace"))


@QUICK
@given(data=st.binary(max_size=60))
@example(data="tasks: 1".encode("utf-16"))
def test_any_bytes(data: bytes) -> None:
    check(data)
    check(b"\xef\xbb\xbf" + data)


SAMPLE = (
    Path(__file__).parents[2] / "demo/experiments/body-size.yaml"
).read_bytes() + (
    b"gitorch:\n  env: {A: 1}\n  link: [data]\nmore: &x [1, *y]\nthen: |\n  {lr}\n"
)


@QUICK
@given(
    start=st.integers(0, len(SAMPLE)),
    length=st.integers(0, 12),
    put=st.binary(max_size=4) | TEXTS.map(str.encode),
)
def test_any_typing_mistake(start: int, length: int, put: bytes) -> None:
    check(SAMPLE[:start] + put + SAMPLE[start + length :])
