"""The options that keep the user's configuration out of worktrees and their patches."""

from __future__ import annotations

from gitorch.git.file_system import checkout_settings
from gitorch.git.neutral import CHECKOUT, options, values
from gitorch.git.repository import Repository
from gitorch.git.worktree.large_files import POINTERS_ALLOWED, lfs_settings

# A patch that `git apply` accepts, whatever the user's settings for diffs are.
_DIFF = (
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-renames",
    "--no-relative",
    "--full-index",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--ignore-submodules=untracked",  # for example Python's caches in a submodule
    "--unified=3",
    "--inter-hunk-context=0",
)


def checkout_flags(repo: Repository, *, partly: bool = False) -> tuple[str, ...]:
    """Return the `-c` options for a git command that writes the files of a worktree.

    With `partly`, git writes the pointers of large files that it cannot fetch.
    """
    settings = values(CHECKOUT)
    settings["checkout.workers"] = str(repo.settings.checkout_workers)
    settings.update(checkout_settings(repo))
    settings.update(lfs_settings(repo))
    if partly:
        settings.update(POINTERS_ALLOWED)
    return options(settings)


def diff_command(repo: Repository) -> tuple[str, ...]:
    """Return the `git diff` command that compares a worktree with a commit."""
    return (
        *checkout_flags(repo),
        "-c",
        "diff.autoRefreshIndex=true",
        "diff",
        *_DIFF,
    )
