"""What lies between two commits, and how it is shown."""

from __future__ import annotations

from gitorch.git.diff import Changes, changes_between, diff_blobs, diff_text
from gitorch.git.repository import Repository
from gitorch.model.run.compare import ChangedCommit, ChangedFile
from tests.conftest import commit_files, git


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
        repo.root,
        {"changed": "1\n3\n4\n", "bin": b"\0\2", "latin\udce9": "é"},
        "second: and more",
    )
    assert changes_between(repo, a, b) == Changes(
        commits=(ChangedCommit(oid=b, subject="second: and more"),),
        files=(
            ChangedFile(path="bin", status="M", added=None, deleted=None),
            ChangedFile(path="changed", status="M", added=2, deleted=1),
            ChangedFile(path="gone", status="D", added=0, deleted=1),
            ChangedFile(path="latin\udce9", status="A", added=1, deleted=0),
            ChangedFile(path="new\nname", status="A", added=4, deleted=0),
            ChangedFile(path="old name", status="D", added=0, deleted=4),
        ),
    )
    assert changes_between(repo, a, a) == Changes((), ())
    assert [commit.oid for commit in changes_between(repo, b, a).commits] == [b]


def test_the_commits_of_both_sides_are_listed(repo: Repository) -> None:
    git(repo.root, "checkout", "-qb", "side")
    a = commit_files(repo.root, {"a": "a"}, "on the side")
    git(repo.root, "checkout", "-q", "main")
    b = commit_files(repo.root, {"b": "b"}, "on main")
    assert set(changes_between(repo, a, b).commits) == {
        ChangedCommit(oid=a, subject="on the side"),
        ChangedCommit(oid=b, subject="on main"),
    }


def test_the_users_settings_for_diffs_have_no_effect(repo: Repository) -> None:
    a = commit_files(
        repo.root, {"code.py": "1\n", ".gitattributes": "*.py diff=shout\n"}
    )
    b = commit_files(repo.root, {"code.py": "2\n"})
    for setting in (
        "diff.external=false",
        "diff.shout.textconv=false",
        "color.ui=always",
        "diff.noprefix=true",
        "diff.mnemonicPrefix=true",
    ):
        git(repo.root, "config", *setting.split("="))
    assert changes_between(repo, a, b).files == (
        ChangedFile(path="code.py", status="M", added=1, deleted=1),
    )
    assert diff_text(repo, a, b).splitlines()[-3:] == [b"@@ -1 +1 @@", b"-1", b"+2"]
    assert b"\x1b[31m-1" in diff_text(repo, a, b, color=True)
    assert b"1 file changed" in diff_text(repo, a, b, stat=True)


def test_two_files_are_compared_as_git_shows_it(repo: Repository) -> None:
    a = commit_files(repo.root, {"log": "1\n"})
    b = commit_files(repo.root, {"other log": "2\n"})
    text = diff_blobs(repo, f"{a}:log", f"{b}:other log")
    assert text.splitlines()[-3:] == [b"@@ -1 +1 @@", b"-1", b"+2"]
    assert b"\x1b[31m-1" in diff_blobs(
        repo, f"{a}:log", f"{b}:other log", color=True
    )
    assert diff_blobs(repo, f"{a}:log", f"{a}:log") == b""
