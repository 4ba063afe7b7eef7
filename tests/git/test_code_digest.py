"""Digests of code: what counts as a change of the code, and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitorch.git.code_digest import CodeDigests
from gitorch.git.repository import Repository
from tests.conftest import commit_files, git


def configs_among(files: Mapping[str, bytes]) -> frozenset[str]:
    return frozenset(path for path, data in files.items() if b"tasks:" in data)


def tree(repo: Repository) -> str:
    return git(repo.root, "rev-parse", "HEAD^{tree}")


def digest(repo: Repository, *globs: str) -> str:
    return CodeDigests(repo, configs_among).of(tree(repo), globs or None)


def test_configs_are_not_code_wherever_they_lie(repo: Repository) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "settings.yaml": "a: 1"})
    before = digest(repo)
    commit_files(
        repo.root,
        {
            "experiments/a.yaml": "tasks:",
            "deep/er/b.YML": "tasks:",
            "odd\nname.yml": "tasks:",
        },
    )
    assert digest(repo) == before
    commit_files(repo.root, {"experiments/a.yaml": "tasks: []"})
    assert digest(repo) == before


def test_the_schema_of_the_configs_is_not_code(repo: Repository) -> None:
    before = digest(repo)
    commit_files(repo.root, {"experiments/.gitorch.schema.json": "{}"})
    assert digest(repo) == before
    assert CodeDigests(repo, configs_among).differing("HEAD", "HEAD~1") == ()
    commit_files(repo.root, {"experiments/schema.json": "{}"})
    assert digest(repo) != before


@pytest.mark.parametrize(
    "change",
    [
        {"Tasks.py": "2"},
        {"new": ""},
        {"settings.yaml": "a: 2"},
        {"tasks.txt": "tasks:"},
    ],
    ids=["content", "new file", "YAML that is not a config", "not YAML"],
)
def test_every_other_change_makes_other_code(
    repo: Repository, change: dict[str, str | bytes]
) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "settings.yaml": "a: 1"})
    before = digest(repo)
    commit_files(repo.root, change)
    assert digest(repo) != before


def test_mode_and_name_are_code(repo: Repository) -> None:
    commit_files(repo.root, {"Tasks.py": "1"})
    seen = {digest(repo)}
    (repo.root / "Tasks.py").chmod(0o755)
    commit_files(repo.root, {})
    seen.add(digest(repo))
    git(repo.root, "mv", "Tasks.py", "tasks.py")
    commit_files(repo.root, {})
    seen.add(digest(repo))
    (repo.root / "link.yaml").symlink_to("tasks:")
    commit_files(repo.root, {})
    seen.add(digest(repo))
    assert len(seen) == 4


def test_a_submodule_is_code_by_its_commit(
    repo: Repository, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "library")
    commit_files(tmp_path / "library", {"lib.py": "1"})
    git(repo.root, "submodule", "add", "-q", str(tmp_path / "library"), "lib.yaml")
    git(repo.root, "commit", "-qm", "with a submodule")
    before = digest(repo)
    commit_files(repo.root / "lib.yaml", {"lib.py": "2"})
    commit_files(repo.root, {})
    assert digest(repo) != before


def test_an_empty_tree(repo: Repository) -> None:
    assert CodeDigests(repo, configs_among).of(
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    )


def test_only_the_named_files_count(repo: Repository) -> None:
    commit_files(
        repo.root,
        {
            "Tasks.py": "1",
            "src/model.py": "1",
            "src/deep/er.py": "1",
            "src/settings.yaml": "a: 1",
        },
    )
    named = ("src/**/*.py", "*.py", "src/*.yaml")
    before = digest(repo, *named)
    commit_files(
        repo.root,
        {
            "README.md": "new",
            "src/notes.txt": "new",
            "src/config.yaml": "tasks:",
            "lib/a.py": "new",
        },
    )
    assert digest(repo, *named) == before, (
        "nothing that is named has changed, and a config is not code"
    )
    assert digest(repo, "lib", *named) != before
    seen = {before}
    for change in (
        {"src/deep/er.py": "2"},
        {"src/new.py": ""},
        {"src/settings.yaml": "a: 2"},
        {"src/ünï\n.py": "1"},
    ):
        commit_files(repo.root, change)
        seen.add(digest(repo, *named))
    (repo.root / "Tasks.py").chmod(0o755)
    commit_files(repo.root, {})
    seen.add(digest(repo, *named))
    git(repo.root, "mv", "src/new.py", "src/newer.py")
    commit_files(repo.root, {})
    seen.add(digest(repo, *named))
    assert len(seen) == 7


def test_the_root_names_all_code(repo: Repository) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "a/b.py": "1", "a.yaml": "tasks:"})
    assert digest(repo, ".") == digest(repo, "**") == digest(repo)


def test_a_file_that_is_left_out_is_not_code(repo: Repository) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "base.yaml": "lr: 1"})
    digests = CodeDigests(repo, configs_among)
    before = tree(repo)
    commit_files(repo.root, {"base.yaml": "lr: 2"})
    aside = frozenset({"base.yaml"})
    assert digests.of(before, None, aside) == digests.of(tree(repo), None, aside)
    assert digests.of(before) != digests.of(tree(repo))


def test_a_named_submodule_is_code_by_its_commit(
    repo: Repository, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "library")
    commit_files(tmp_path / "library", {"lib.py": "1"})
    git(
        repo.root, "submodule", "add", "-q", str(tmp_path / "library"), "vendor/lib"
    )
    git(repo.root, "commit", "-qm", "with a submodule")
    before = digest(repo, "vendor")
    commit_files(repo.root / "vendor/lib", {"lib.py": "2"})
    commit_files(repo.root, {})
    assert digest(repo, "vendor") != before


def test_a_tree_is_listed_once(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "src/model.py": "1"})
    digests = CodeDigests(repo, configs_among)
    current = tree(repo)
    of_tasks = digests.of(current, ("Tasks.py",))
    monkeypatch.setenv("PATH", "")  # git cannot be started any more
    assert (
        digests.of(current, ("Tasks.py",))
        == of_tasks
        != digests.of(current, ("src",))
    )
    assert [file.path for file in digests.files(current)] == [
        "README.md",
        "Tasks.py",
        "src/model.py",
    ]
