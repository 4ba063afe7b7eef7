from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitorch.git.diff import Changes, CodeDigests, Commit, FileChange, changes_between, diff_text
from gitorch.git.repository import Repository
from tests.conftest import commit_files, git


def configs_among(files: Mapping[str, bytes]) -> frozenset[str]:
    return frozenset(path for path, data in files.items() if b"tasks:" in data)


@pytest.fixture
def repo(project: Path) -> Repository:
    return Repository.discover(project)


def tree(repo: Repository) -> str:
    return git(repo.root, "rev-parse", "HEAD^{tree}")


def identity(repo: Repository, *globs: str) -> str:
    return CodeDigests(repo, configs_among).of(tree(repo), globs or None)


def test_configs_are_no_code_wherever_they_lie(repo: Repository) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "settings.yaml": "a: 1"})
    before = identity(repo)
    commit_files(
        repo.root,
        {"experiments/a.yaml": "tasks:", "deep/er/b.YML": "tasks:", "odd\nname.yml": "tasks:"},
    )
    assert identity(repo) == before
    commit_files(repo.root, {"experiments/a.yaml": "tasks: []"})
    assert identity(repo) == before


@pytest.mark.parametrize(
    "change",
    [{"Tasks.py": "2"}, {"new": ""}, {"settings.yaml": "a: 2"}, {"tasks.txt": "tasks:"}],
    ids=["content", "new file", "YAML that is no config", "no YAML"],
)
def test_every_other_change_is_other_code(repo: Repository, change: dict[str, str | bytes]) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "settings.yaml": "a: 1"})
    before = identity(repo)
    commit_files(repo.root, change)
    assert identity(repo) != before


def test_mode_and_name_are_code(repo: Repository) -> None:
    commit_files(repo.root, {"Tasks.py": "1"})
    seen = {identity(repo)}
    (repo.root / "Tasks.py").chmod(0o755)
    commit_files(repo.root, {})
    seen.add(identity(repo))
    git(repo.root, "mv", "Tasks.py", "tasks.py")
    commit_files(repo.root, {})
    seen.add(identity(repo))
    (repo.root / "link.yaml").symlink_to("tasks:")
    commit_files(repo.root, {})
    seen.add(identity(repo))
    assert len(seen) == 4


def test_a_submodule_is_code_by_its_commit(repo: Repository, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "library")
    commit_files(tmp_path / "library", {"lib.py": "1"})
    git(repo.root, "submodule", "add", "-q", str(tmp_path / "library"), "lib.yaml")
    git(repo.root, "commit", "-qm", "with a submodule")
    before = identity(repo)
    commit_files(repo.root / "lib.yaml", {"lib.py": "2"})
    commit_files(repo.root, {})
    assert identity(repo) != before


def test_an_empty_tree(repo: Repository) -> None:
    assert CodeDigests(repo, configs_among).of("4b825dc642cb6eb9a060e54bf8d69288fbee4904")


def test_of_named_code_nothing_else_counts(repo: Repository) -> None:
    commit_files(
        repo.root,
        {"Tasks.py": "1", "src/model.py": "1", "src/deep/er.py": "1", "src/settings.yaml": "a: 1"},
    )
    named = ("src/**/*.py", "*.py", "src/*.yaml")
    before = identity(repo, *named)
    commit_files(
        repo.root,
        {
            "README.md": "new",
            "src/notes.txt": "new",
            "src/config.yaml": "tasks:",
            "lib/a.py": "new",
        },
    )
    assert identity(repo, *named) == before, (
        "nothing that is named has changed, and a config is no code"
    )
    assert identity(repo, "lib", *named) != before
    seen = {before}
    for change in (
        {"src/deep/er.py": "2"},
        {"src/new.py": ""},
        {"src/settings.yaml": "a: 2"},
        {"src/ünï\n.py": "1"},
    ):
        commit_files(repo.root, change)
        seen.add(identity(repo, *named))
    (repo.root / "Tasks.py").chmod(0o755)
    commit_files(repo.root, {})
    seen.add(identity(repo, *named))
    git(repo.root, "mv", "src/new.py", "src/newer.py")
    commit_files(repo.root, {})
    seen.add(identity(repo, *named))
    assert len(seen) == 7


def test_the_root_names_all_code(repo: Repository) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "a/b.py": "1", "a.yaml": "tasks:"})
    assert identity(repo, ".") == identity(repo, "**") == identity(repo)


def test_what_is_put_aside_is_no_code(repo: Repository) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "base.yaml": "lr: 1"})
    digests = CodeDigests(repo, configs_among)
    before = tree(repo)
    commit_files(repo.root, {"base.yaml": "lr: 2"})
    aside = frozenset({"base.yaml"})
    assert digests.of(before, None, aside) == digests.of(tree(repo), None, aside)
    assert digests.of(before) != digests.of(tree(repo))


def test_a_named_submodule_is_code_by_its_commit(repo: Repository, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "library")
    commit_files(tmp_path / "library", {"lib.py": "1"})
    git(repo.root, "submodule", "add", "-q", str(tmp_path / "library"), "vendor/lib")
    git(repo.root, "commit", "-qm", "with a submodule")
    before = identity(repo, "vendor")
    commit_files(repo.root / "vendor/lib", {"lib.py": "2"})
    commit_files(repo.root, {})
    assert identity(repo, "vendor") != before


def test_digests_of_one_tree_are_listed_once(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_files(repo.root, {"Tasks.py": "1", "src/model.py": "1"})
    digests = CodeDigests(repo, configs_among)
    here = tree(repo)
    of_tasks = digests.of(here, ("Tasks.py",))
    monkeypatch.setenv("PATH", "")  # git cannot be started any more
    assert digests.of(here, ("Tasks.py",)) == of_tasks != digests.of(here, ("src",))
    assert [file.path for file in digests.files(here)] == ["README.md", "Tasks.py", "src/model.py"]


def test_what_lies_between_two_commits(repo: Repository) -> None:
    a = commit_files(
        repo.root,
        {
            "kept": "1\n",
            "changed": "1\n2\n",
            "gone": "x\n",
            "old name": "some\nlines\nof\ntext\n",
            "bin": b"\0\1",
        },
        "the first",
    )
    (repo.root / "gone").unlink()
    git(repo.root, "mv", "old name", "new\nname")
    b = commit_files(
        repo.root, {"changed": "1\n3\n4\n", "bin": b"\0\2", "latin\udce9": "é"}, "second: and more"
    )
    assert changes_between(repo, a, b) == Changes(
        commits=(Commit(b, "second: and more"),),
        files=(
            FileChange("bin", "M", None, None),
            FileChange("changed", "M", 2, 1),
            FileChange("gone", "D", 0, 1),
            FileChange("latin\udce9", "A", 1, 0),
            FileChange("new\nname", "A", 4, 0),
            FileChange("old name", "D", 0, 4),
        ),
    )
    assert changes_between(repo, a, a) == Changes((), ())
    assert [commit.oid for commit in changes_between(repo, b, a).commits] == [b]


def test_two_lines_of_history(repo: Repository) -> None:
    git(repo.root, "checkout", "-qb", "side")
    a = commit_files(repo.root, {"a": "a"}, "on the side")
    git(repo.root, "checkout", "-q", "main")
    b = commit_files(repo.root, {"b": "b"}, "on main")
    assert set(changes_between(repo, a, b).commits) == {
        Commit(a, "on the side"),
        Commit(b, "on main"),
    }


def test_the_users_settings_for_diffs_are_left_aside(repo: Repository, tmp_path: Path) -> None:
    a = commit_files(repo.root, {"code.py": "1\n", ".gitattributes": "*.py diff=shout\n"})
    b = commit_files(repo.root, {"code.py": "2\n"})
    for setting in (
        "diff.external=false",
        "diff.shout.textconv=false",
        "color.ui=always",
        "diff.noprefix=true",
        "diff.mnemonicPrefix=true",
    ):
        git(repo.root, "config", *setting.split("="))
    assert changes_between(repo, a, b).files == (FileChange("code.py", "M", 1, 1),)
    assert diff_text(repo, a, b).splitlines()[-3:] == [b"@@ -1 +1 @@", b"-1", b"+2"]
    assert b"\x1b[31m-1" in diff_text(repo, a, b, color=True)
    assert b"1 file changed" in diff_text(repo, a, b, stat=True)
