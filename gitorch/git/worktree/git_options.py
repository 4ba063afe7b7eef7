"""The options that keep the user's configuration out of worktrees and their patches."""

from __future__ import annotations

from gitorch.git.repository import Repository

_SWITCHES = {
    # A failing post-checkout hook makes `worktree add` fail although the tree is complete.
    "core.hooksPath": "/dev/null",
    # A worktree inherits this setting: files would be missing although the status is clean.
    "core.sparseCheckout": "false",
    "core.fsmonitor": "false",
    "core.trustctime": "true",
    "core.checkStat": "default",
    "core.splitIndex": "false",
    "core.untrackedCache": "false",
    "index.sparse": "false",
    "index.threads": "1",  # more threads add extensions, which `StatIndex` cannot read
    "index.skipHash": "false",
    "index.version": "2",
    "submodule.recurse": "false",
    "gc.auto": "0",  # a gc would inherit the lock of the worktree
    "maintenance.auto": "false",
}
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


def checkout_flags(repo: Repository) -> tuple[str, ...]:
    """Return the `-c` options for a git command that writes the files of a worktree."""
    switches = {
        **_SWITCHES,
        "checkout.workers": str(repo.settings.checkout_workers),
    }
    flags: list[str] = []
    for name, value in switches.items():
        flags += ("-c", f"{name}={value}")
    return tuple(flags)


def diff_command(repo: Repository) -> tuple[str, ...]:
    """Return the `git diff` command that compares a worktree with a commit."""
    return (
        *checkout_flags(repo),
        "-c",
        "diff.autoRefreshIndex=true",
        "diff",
        *_DIFF,
    )
