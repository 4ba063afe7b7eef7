"""The table of git's settings, and the settings that describe the file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitorch.errors import Refused
from gitorch.git.checkout import revert_detached
from gitorch.git.command import call_git_lines, child_environment
from gitorch.git.neutral import CAPABLE, CHECKOUT, KEPT, NEUTRAL
from gitorch.git.pins import dirty_state, resolve
from gitorch.git.repository import Repository
from gitorch.git.snapshot import snapshot
from tests.conftest import commit_files, git

# The sections of git-config(1) whose settings can change what is clean or what is checked out.
SECTIONS = (
    "core.",
    "status.",
    "index.",
    "submodule.",
    "sparse.",
    "filter.",
    "add.",
)
# They are about speed, objects, references, or what git prints.
IRRELEVANT = [
    "add.interactive.useBuiltin",
    "core.abbrev",
    "core.alternateRefsCommand",
    "core.alternateRefsPrefixes",
    "core.askPass",
    "core.bare",
    "core.bigFileThreshold",
    "core.checkRoundtripEncoding",
    "core.commentChar",
    "core.commitGraph",
    "core.compression",
    "core.createObject",
    "core.deltaBaseCacheLimit",
    "core.editor",
    "core.filesRefLockTimeout",
    "core.fsmonitorHookVersion",
    "core.fsync",
    "core.fsyncMethod",
    "core.fsyncObjectFiles",
    "core.gitProxy",
    "core.hideDotFiles",
    "core.logAllRefUpdates",
    "core.looseCompression",
    "core.multiPackIndex",
    "core.notesRef",
    "core.packedGitLimit",
    "core.packedGitWindowSize",
    "core.packedRefsTimeout",
    "core.pager",
    "core.preferSymlinkRefs",
    "core.preloadIndex",
    "core.quotePath",
    "core.repositoryFormatVersion",
    "core.restrictinheritedhandles",
    "core.sparseCheckoutCone",
    "core.sshCommand",
    "core.unsetenvvars",
    "core.useReplaceRefs",
    "core.warnAmbiguousRefs",
    "core.whitespace",
    "index.recordOffsetTable",
    "status.aheadBehind",
    "status.branch",
    "status.displayCommentPrefix",
    "status.relativePaths",
    "status.renameLimit",
    "status.renames",
    "status.short",
    "status.showStash",
    "status.submoduleSummary",
    "submodule.<name>.active",
    "submodule.<name>.branch",
    "submodule.<name>.fetchRecurseSubmodules",
    "submodule.<name>.update",
    "submodule.<name>.url",
    "submodule.active",
    "submodule.alternateErrorStrategy",
    "submodule.alternateLocation",
    "submodule.fetchJobs",
    "submodule.propagateBranches",
    "filter.<driver>.clean",
    "filter.<driver>.smudge",
]


@pytest.fixture
def repo(project: Path) -> Repository:
    commit_files(project, {"run.sh": "echo 1\n"})
    return Repository.discover(project)


def test_every_setting_of_the_manual_is_decided(repo: Repository) -> None:
    if not call_git_lines(repo.root, "version")[0].startswith("git version 2.39"):
        pytest.skip("the lists above are those of git 2.39")
    decided = {*NEUTRAL, *CHECKOUT, *CAPABLE, *KEPT, *IRRELEVANT}
    listed = call_git_lines(repo.root, "help", "--config")
    relevant = {name for name in listed if name.startswith(SECTIONS)}
    assert relevant - decided == set()


@pytest.mark.parametrize(
    "name",
    [
        "GIT_LITERAL_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_TRACE",
        "GIT_EXTERNAL_DIFF",
        "GIT_LFS_SKIP_SMUDGE",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
    ],
)
def test_variables_that_change_what_git_does_are_dropped(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert name not in child_environment()


def test_variables_for_the_network_and_the_author_are_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -4")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "A")
    environment = child_environment()
    assert environment["GIT_SSH_COMMAND"] == "ssh -4"
    assert environment["GIT_AUTHOR_NAME"] == "A"


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_an_edit_behind_a_flag_is_a_modification(
    repo: Repository, flag: str
) -> None:
    git(repo.root, "update-index", flag, "run.sh")
    assert dirty_state(repo).modified == ()
    (repo.root / "run.sh").write_text("echo 2\n")
    index = (repo.git_dir / "index").read_bytes()
    assert dirty_state(repo).modified == ("run.sh",)
    assert (repo.git_dir / "index").read_bytes() == index


def test_a_deletion_behind_a_flag_is_a_modification(repo: Repository) -> None:
    git(repo.root, "update-index", "--assume-unchanged", "run.sh")
    (repo.root / "run.sh").unlink()
    assert dirty_state(repo).modified == ("run.sh",)


def test_revert_does_not_lose_an_edit_behind_a_flag(repo: Repository) -> None:
    git(repo.root, "update-index", "--skip-worktree", "run.sh")
    (repo.root / "run.sh").write_text("echo 2\n")
    first = git(repo.root, "rev-parse", "HEAD~1")
    with pytest.raises(Refused, match=r"run\.sh"):
        revert_detached(repo, first)


def test_an_edit_behind_a_flag_in_a_submodule_is_a_modification(
    repo: Repository, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    commit_files(library, {"deep/lib.py": "1\n"})
    git(repo.root, "submodule", "--quiet", "add", str(library), "libs/lib")
    commit_files(repo.root, {}, "with a submodule")
    inside = repo.root / "libs/lib"
    git(inside, "update-index", "--assume-unchanged", "deep/lib.py")
    assert dirty_state(repo).modified == ()
    (inside / "deep/lib.py").write_text("2\n")
    assert dirty_state(repo).modified == ("libs/lib",)


def lying_hook(repo: Repository) -> None:
    hook = repo.root.parent / "hook"
    hook.write_text("#!/bin/sh\nprintf 'token\\0'\n")
    hook.chmod(0o755)
    git(repo.root, "config", "core.fsmonitor", str(hook))
    git(repo.root, "update-index", "--fsmonitor")
    git(repo.root, "status")


def minimal_checks(repo: Repository) -> None:
    git(repo.root, "config", "core.checkStat", "minimal")
    git(repo.root, "config", "core.trustctime", "false")


def ignored_stat(repo: Repository) -> None:
    git(repo.root, "config", "core.ignoreStat", "true")
    git(repo.root, "checkout", "-q", "HEAD~1")
    git(repo.root, "checkout", "-q", "main")


def sparse_checkout(repo: Repository) -> None:
    git(repo.root, "sparse-checkout", "set", "--no-cone", "/*", "!run.sh")
    git(repo.root, "config", "sparse.expectFilesOutsideOfPatterns", "true")


@pytest.mark.parametrize(
    "hide", [lying_hook, minimal_checks, ignored_stat, sparse_checkout]
)
def test_no_setting_hides_an_edit(repo: Repository, hide: object) -> None:
    assert callable(hide)
    path = repo.root / "run.sh"
    before = path.stat()
    hide(repo)
    git(repo.root, "config", "status.showUntrackedFiles", "no")
    path.write_text("echo 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert dirty_state(repo).modified == ("run.sh",)
    pin = snapshot(repo, size_limit=1000)
    assert git(repo.root, "show", f"{pin.commit}:run.sh") == "echo 2"


def test_a_file_that_became_executable_is_a_modification(repo: Repository) -> None:
    git(repo.root, "config", "core.fileMode", "false")
    (repo.root / "run.sh").chmod(0o755)
    repo = Repository.discover(repo.root)
    assert dirty_state(repo).modified == ("run.sh",)
    pin = snapshot(repo, size_limit=1000)
    assert git(repo.root, "ls-tree", pin.commit, "run.sh").startswith("100755")


def test_a_new_file_whose_name_differs_in_case_is_in_the_snapshot(
    repo: Repository,
) -> None:
    git(repo.root, "config", "core.ignoreCase", "yes")
    (repo.root / "RUN.sh").write_text("echo 3\n")
    repo = Repository.discover(repo.root)
    assert dirty_state(repo).untracked == ("RUN.sh",)
    pin = snapshot(repo, size_limit=1000)
    assert git(repo.root, "show", f"{pin.commit}:RUN.sh") == "echo 3"
    assert git(repo.root, "show", f"{pin.commit}:run.sh") == "echo 1"


def test_a_replaced_commit_is_what_it_is_elsewhere(repo: Repository) -> None:
    head = git(repo.root, "rev-parse", "HEAD")
    tree = git(repo.root, "rev-parse", "HEAD^{tree}")
    git(repo.root, "replace", head, git(repo.root, "rev-parse", "HEAD~1"))
    assert resolve(repo).tree == tree
