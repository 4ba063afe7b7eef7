"""The keys and settings of tasks, and the settings of the file as their defaults."""

from __future__ import annotations

import pytest

from gitorch.model.run.spec import Resources, Retries
from tests.config.complaints import TASKS, complaints, load, marked


@pytest.mark.parametrize(
    ("setting", "marked_as", "message"),
    [
        ("timeout: 0", "0", "'timeout' must be more than 0"),
        ("timeout: 0s", "0s", "'timeout' must be more than 0"),
        ("timeout: -1", "-1", "'-1' is negative"),
        ("timeout: 1:30", "1:30", "'1:30' is not a length of time"),
        ("timeout: 4000d", "4000d", "'4000d' is longer than ten years"),
        (
            "timeout: true",
            "true",
            "'timeout' must be text or a number, not true or false",
        ),
        ("timeout:", "timeout", "'timeout' must be text or a number, not nothing"),
        ("retries: -1", "-1", "'retries' must be at least 0"),
        ("retries: 1e9", "1e9", "'retries' must be at most 1000000"),
        (
            "retries: 1.5",
            "1.5",
            "'retries' must be a whole number or a mapping of keys to values, not 1.5",
        ),
        (
            "retries: yes",
            "yes",
            "'retries' must be a whole number or a mapping of keys to values, not text",
        ),
        ("retries: {}", "{}", "'retries' has no 'max'"),
        ("retries: {on: [signal]}", "{on: [signal]}", "'retries' has no 'max'"),
        (
            "retries: {MAX: 1}",
            "MAX",
            "unknown key 'MAX' under 'retries', did you mean 'max'?",
        ),
        (
            "retries: {max: 1, delay: 3}",
            "delay",
            "unknown key 'delay' under 'retries'",
        ),
        (
            "retries: {max: 1, timeout: 3}",
            "timeout",
            "unknown key 'timeout' under 'retries'",
        ),
        ("retries: {max: -1}", "-1", "'max' must be at least 0"),
        (
            "retries: {max: 1, on: timeout}",
            "timeout",
            "'on' must be a list, not text",
        ),
        ("retries: {max: 1, on: []}", "[]", "'on' must not be empty"),
        (
            "retries: {max: 1, on: [signal, signal]}",
            "[signal, signal]",
            "'on' names something twice",
        ),
        (
            "retries: {max: 1, on: [Timeout]}",
            "Timeout",
            "'on[0]' cannot be 'Timeout', did you mean 'timeout'?",
        ),
        ("retries: {max: 1, on: [lost]}", "lost", "'on[0]' cannot be 'lost'"),
        (
            "retries: {max: 1, on: [137]}",
            "137",
            "'on[0]' must be text, not a number",
        ),
        ("retries: {max: 1, backoff: -1s}", "-1s", "'-1s' is not a length of time"),
        ("priority: high", "high", "'priority' must be a whole number, not text"),
        ("priority: 1.5", "1.5", "'priority' must be a whole number, not 1.5"),
        ("priority: -1000001", "-1000001", "'priority' must be at least -1000000"),
        (
            "resources: 4",
            "4",
            "'resources' must be a mapping of keys to values, not a number",
        ),
        (
            "resources: {cpu: 4}",
            "cpu",
            "unknown key 'cpu' under 'resources', did you mean 'cpus'?",
        ),
        ("resources: {name: 4}", "name", "unknown key 'name' under 'resources'"),
        ("resources: {cpus: -0.5}", "-0.5", "'cpus' must be at least 0"),
        ("resources: {cpus: all}", "all", "'cpus' must be a number, not text"),
        ("resources: {gpus: 0.5}", "0.5", "'gpus' must be a whole number, not 0.5"),
        ("resources: {memory: 8}", "8", "'8' has no unit"),
        ("resources: {memory: 8GO}", "8GO", "'8GO' is not an amount of memory"),
        ("resources: {memory: -8G}", "-8G", "'-8G' is not an amount of memory"),
        (
            "resources: {memory: [8G]}",
            "[8G]",
            "'memory' must be text or a number, not a list",
        ),
        (
            "resources: {memory: 9999999TiB}",
            "9999999TiB",
            "'9999999TiB' is too much memory",
        ),
    ],
)
@pytest.mark.parametrize("place", ["file", "task"])
def test_an_invalid_scheduling_setting_is_refused(
    setting: str, marked_as: str, message: str, place: str
) -> None:
    texts = {
        "file": f"gitorch:\n  {setting}\n{TASKS}",
        "task": f"tasks:\n  - id: a\n    method: A\n    gitorch:\n      {setting}\n",
    }
    (problem,) = load(texts[place]).problems
    assert (problem.message, marked(problem)) == (message, marked_as)
    assert problem.line == (2 if place == "file" else 5)


def test_the_hint_says_how_to_write_a_setting() -> None:
    assert complaints(
        f"gitorch: {{timeout: 2 hours, resources: {{memory: 8}}, retries: often}}\n{TASKS}"
    ) == (
        """\
1:20: error: '2 hours' is not a length of time
  write it like 90s, 30m, 1h30m or 2d, or as a number of seconds
1:49: error: '8' has no unit
  write it with its unit, like 500MB, 8GiB or 8G
1:62: error: 'retries' must be a whole number or a mapping of keys to values, not text
  write how many at most, 'retries: 2', or 'retries: {max: 2, on: [timeout], backoff: 30s}'"""
    )


def test_a_default_that_every_task_overrides_is_checked_too() -> None:
    text = "gitorch: {timeout: soon}\ntasks: [{id: a, method: A, gitorch: {timeout: 1}}]"
    assert complaints(text).startswith(
        "1:20: error: 'soon' is not a length of time\n"
    )


def test_the_setting_of_a_task_replaces_the_default_as_a_whole() -> None:
    text = """\
        gitorch: {retries: {max: 5, on: [timeout], backoff: 1m}, resources: {cpus: 4, memory: 1G}, priority: 7}
        tasks:
          - {id: a, method: A, gitorch: {retries: 0, resources: {}, priority: 0}}
          - {id: b, method: B, gitorch: {retries: {max: 1.0}, timeout: 0.5}}
        """
    (spec,) = load(text).specs
    assert [task.retries for task in spec.tasks] == [Retries(max=0), Retries(max=1)]
    assert [task.resources for task in spec.tasks] == [
        Resources(),
        Resources(cpus=4.0, memory_bytes=1 << 30),
    ]
    assert [(task.priority, task.timeout_s) for task in spec.tasks] == [
        (0, None),
        (7, 0.5),
    ]


@pytest.mark.parametrize(
    "setting",
    ["inputs", "outputs", "discard", "code", "cache: {code", "cache: {inputs"],
)
def test_an_invalid_glob_is_refused(setting: str) -> None:
    text = f"gitorch: {{{setting}: ['data/[z-a].csv']}}{'}' if '{' in setting else ''}\n{TASKS}"
    said = (
        "'data/[z-a].csv' is not a glob: bad character range z-a\n"
        "  a [ that stands for itself is written [[]"
    )
    assert complaints(text) == f"1:{14 + len(setting)}: error: {said}"


@pytest.mark.parametrize(
    "place", ["../x", "a/../../b", ".git/config", "/data/a\\0b"]
)
def test_inputs_lie_in_the_repository_or_are_absolute(place: str) -> None:
    assert "1:20: error: " in complaints(
        f'gitorch: {{inputs: ["{place}"]}}\n{TASKS}'
    )
    assert (
        complaints(
            f"gitorch: {{inputs: [/data/x, ~/data/*.csv, ./data//y]}}\n{TASKS}"
        )
        == ""
    )


def test_the_well_shaped_paths_of_a_list_are_checked_even_if_others_are_misshapen() -> (
    None
):
    text = "tasks: [{id: a, method: A, gitorch: {outputs: [3, ../x]}}]"
    assert [problem.column for problem in load(text).problems] == [48, 51]


def test_a_wrong_default_is_reported_once() -> None:
    text = (
        "gitorch: {outputs: [/x]}\ntasks: [{id: a, method: A}, {id: b, method: B}]"
    )
    assert complaints(text).count("error") == 1


@pytest.mark.parametrize(
    "method", ["", "my.Train", "Train()", "train it", "class", "1A"]
)
def test_a_method_is_the_name_of_a_class(method: str) -> None:
    assert complaints(f'tasks: [{{id: a, method: "{method}"}}]') == (
        f"1:25: error: '{method}' is not the name of a class\n"
        "  to run a program, write it as 'command'"
    )
