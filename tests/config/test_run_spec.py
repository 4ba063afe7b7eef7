"""The keys and settings of a config file: repository, paths, links, names and environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.config.complaints import TASKS, complaints, load


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/Owner/penguins",
        "https://GitHub.com/owner/penguins.git/",
        "https://me:token@github.com:443/owner/penguins.git",
        "git@github.com:owner/penguins.git",
        "ssh://git@github.com:22/owner/penguins.git",
        "git://github.com/owner/penguins",
    ],
)
def test_all_forms_of_the_address_of_a_repository_are_equal(remote: str) -> None:
    text = f"githubRepository: https://github.com/owner/penguins\n{TASKS}"
    assert complaints(text, upstream="https://example.org/x", origin=remote) == ""


@pytest.mark.parametrize(
    "written",
    ["penguins", "owner/penguins", "https://", "not an address", "git@github.com:"],
)
def test_an_invalid_address_is_refused(written: str) -> None:
    assert complaints(f'githubRepository: "{written}"\n{TASKS}').startswith(
        "1:19: error: "
    )


@pytest.mark.parametrize("key", ["pathToTasks", "outputDir"])
@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("..", "leads outside by '..'"),
        ("demo/../..", "leads outside by '..'"),
        ("/", "is outside the repository"),
        ("/etc", "is outside the repository"),
        ("~/demo", "starts in your home directory"),
        (".git/hooks", "is git's own directory"),
        ("out/there", "is a symbolic link that leads out of the repository"),
        ("loop/x", "is a symbolic link that leads out of the repository"),
        ("a\\0b", "holds a NUL character, which no path can"),
        ("/a\\0b", "is outside the repository"),
    ],
)
def test_a_path_must_stay_inside_the_repository(
    key: str, written: str, why: str, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    shown = written.replace("\\0", "\0")
    (complaint, _) = complaints(f'{key}: "{written}"\n{TASKS}', root=root).split(
        "\n"
    )
    assert complaint == f"1:{len(key) + 3}: error: '{shown}' {why}"


@pytest.mark.parametrize("key", ["pathToTasks", "outputDir"])
def test_an_absolute_path_inside_the_repository_becomes_relative(
    key: str, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    (root / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    for written in (root, tmp_path / "link"):
        for known in (root, tmp_path / "link"):
            (spec,) = load(f"{key}: {written}/a\n{TASKS}", root=known).specs
            assert spec.document[key] == "a"


def test_path_to_tasks_is_a_directory() -> None:
    assert complaints(f"pathToTasks: demo/Tasks.py\n{TASKS}") == (
        "1:14: error: 'pathToTasks' must be a directory\n  write demo"
    )


@pytest.mark.parametrize("setting", ["outputs", "metrics", "link"])
@pytest.mark.parametrize("place", ["/x", "../x", "a/../../b", "~/x", ".git/config"])
def test_the_paths_of_a_list_are_relative(setting: str, place: str) -> None:
    assert f"1:{14 + len(setting)}: error: '{place}' " in complaints(
        f"gitorch: {{{setting}: ['{place}']}}\n{TASKS}"
    )


def test_a_path_is_linked_only_once() -> None:
    text = f"gitorch: {{link: [data/x, data, models, models/, .]}}\n{TASKS}"
    assert [problem.message for problem in load(text).problems] == [
        "'data/x' lies in 'data', which is linked too",
        "'models' is linked twice",
        "'.' would link the whole repository",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "cafe",
        "2024",
        "0123456789ab",
        "-x",
        "@x",
        ".x",
        "a/b",
        "a\tb",
        " ",
        "x" * 101,
        "‮x",
    ],
)
def test_an_unusable_name_is_refused(name: str) -> None:
    config = load(f'gitorch: {{name: "{name}"}}\n{TASKS}')
    assert config.specs == ()
    assert [(problem.line, problem.column) for problem in config.problems] == [
        (1, 17)
    ]


@pytest.mark.parametrize(
    "name", ["caf", "0123456789abc", "CAFE", "a-b", "größe 2", "x" * 100, "cafe_1"]
)
def test_other_names_are_accepted(name: str) -> None:
    assert load(f'gitorch: {{name: "{name}"}}\n{TASKS}').specs[0].name == name


def test_the_default_name_comes_from_the_file() -> None:
    assert load(TASKS, file="deep/er/a.b.yaml").specs[0].name == "a.b"
    assert complaints(TASKS, file="deep/2024.yaml") == (
        "1:1: error: the name '2024' could be the beginning of a run's id\n  name it:\n"
        "  gitorch: {name: …}"
    )
    undecodable = os.fsdecode(b"caf\xe9x.yaml")
    assert load(TASKS, file=undecodable).specs == ()


@pytest.mark.parametrize(
    ("settings", "column", "message"),
    [
        (
            'env: {A: "x\\0"}',
            20,
            "A holds a NUL character, which no environment can",
        ),
        ("env: {GITORCH_TOKEN: x}", 17, "GITORCH_TOKEN is set by gitorch itself"),
        (
            'env: {"": x}',
            17,
            "'' is not the name of a variable: it must consist of letters, digits and '_'",
        ),
        (
            'env: {"A\\n": x}',
            17,
            "'A\n' is not the name of a variable: it must consist of letters, digits and '_'",
        ),
        (
            "env: {A: null}",
            20,
            "'A' must be text, a number or true or false, not nothing",
        ),
        ('python: "x\\0"', 19, "'python' holds a NUL character, which no path can"),
        ("python: 3.11", 19, "'python' must be text, not a number"),
    ],
)
def test_an_environment_that_no_process_can_have_is_refused(
    settings: str, column: int, message: str
) -> None:
    (problem,) = load(f"gitorch: {{{settings}}}\n{TASKS}").problems
    assert (problem.message, problem.column) == (message, column)
