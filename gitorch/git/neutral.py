"""The settings and variables of git that decide what is clean and what a checkout delivers.

This is the result of reading git-config(1) with that question. A user may hide an edit from git, or
have pointers delivered instead of files, but a run must not depend on it. Therefore each call of
git overrides the settings of `NEUTRAL`, and each call that writes or compares the files of a
worktree overrides those of `CHECKOUT` as well. The settings of `KEPT` stay as the user has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Neutral(Struct, frozen=True):
    """The value that gitorch gives to a setting, and the reason."""

    value: str
    reason: str


NEUTRAL = {
    # Empty: git before 2.36 would run a program called `false`.
    "core.fsmonitor": Neutral("", "a hook or daemon may overlook an edit"),
    "core.untrackedCache": Neutral(
        "false", "it may overlook new files in a copied repository"
    ),
    "core.trustctime": Neutral(
        "true", "otherwise an edit that keeps size and mtime is hidden"
    ),
    "core.checkStat": Neutral(
        "default", "`minimal` hides an edit within the same second"
    ),
    "core.ignoreStat": Neutral(
        "false", "it marks each written file as assume-unchanged"
    ),
    "core.splitIndex": Neutral(
        "false", "gitorch reads and copies indexes as one file"
    ),
    "core.safecrlf": Neutral(
        "false", "`true` makes `git add` refuse a file of a snapshot"
    ),
    "add.ignoreErrors": Neutral(
        "false", "a snapshot would lack files without a message"
    ),
    "diff.ignoreSubmodules": Neutral("none", "it hides edits in nested submodules"),
    "sparse.expectFilesOutsideOfPatterns": Neutral(
        "false", "it hides edits of files that a sparse checkout should not have"
    ),
}

CHECKOUT = {
    "core.hooksPath": Neutral(
        "/dev/null",
        "a failing post-checkout hook fails `worktree add` after its work",
    ),
    "core.sparseCheckout": Neutral(
        "false", "files would be missing although git says clean"
    ),
    "index.sparse": Neutral("false", "`StatIndex` needs an entry for each file"),
    "index.threads": Neutral(
        "1", "more threads add extensions that `StatIndex` cannot read"
    ),
    "index.recordEndOfIndexEntries": Neutral("false", "as index.threads"),
    "index.skipHash": Neutral("false", "the hash shows whether the index is whole"),
    "index.version": Neutral("2", "`StatIndex` reads version 2"),
    "submodule.recurse": Neutral("false", "gitorch fills submodules itself"),
    "gc.auto": Neutral("0", "a gc would inherit the lock of the worktree"),
    "maintenance.auto": Neutral("false", "as gc.auto"),
    "lfs.fetchinclude": Neutral(
        "", "files that it does not name would stay pointers"
    ),
    "lfs.fetchexclude": Neutral("", "files that it names would stay pointers"),
    "lfs.skipdownloaderrors": Neutral(
        "false", "files that are missing would stay pointers"
    ),
    "filter.lfs.required": Neutral(
        "true", "a filter that fails would deliver pointers"
    ),
}

# Facts about a file system, as git found them when it made the repository. A value that a user has
# changed by hand hides edits. So gitorch asks the file system (`filesystem_settings`), and gives
# the setting this value if the file system is capable of it.
CAPABLE = {
    "core.fileMode": Neutral("true", "`false` hides that a file became executable"),
    "core.ignoreCase": Neutral("false", "`true` takes a new file for another one"),
    "core.symlinks": Neutral(
        "true", "`false` delivers a text file instead of a link"
    ),
}

KEPT = {
    "core.autocrlf": "the user's own files have these line ends, and git compares accordingly; "
    "the record has the hash of what the task reads",
    "core.eol": "as core.autocrlf",
    "core.attributesFile": "it may define the filters that the user's files need; "
    "`lfs` refuses what stays a pointer",
    "core.excludesFile": "ignored files do not belong to the code, whoever ignores them",
    "core.precomposeUnicode": "it is a fact about the file system of a Mac",
    "core.protectHFS": "it refuses names that would be dangerous",
    "core.protectNTFS": "as core.protectHFS",
    "core.sharedRepository": "it is about the files of git, not about those of a worktree",
    "core.worktree": "it says where the main worktree is",
    "extensions.worktreeConfig": "it is part of the repository's format",
    "filter.<driver>.*": "only the user knows how to run the filters of the project",
    "status.showUntrackedFiles": "each call says which files it wants",
    "submodule.<name>.ignore": "each call says which submodules it wants",
}

# A variable of git reaches git only if its name begins with one of these. All others make git act
# on another repository (GIT_DIR), read other objects (GIT_REPLACE_REF_BASE), read patterns in
# another way (GIT_LITERAL_PATHSPECS), write to the stream that gitorch reads (GIT_TRACE), or
# deliver pointers (GIT_LFS_SKIP_SMUDGE).
PASSED_ON = (
    "GIT_ALLOW_PROTOCOL",
    "GIT_ASKPASS",
    "GIT_ATTR_NOSYSTEM",
    "GIT_AUTHOR_",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMITTER_",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_CURL_",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_HTTP_",
    "GIT_NO_LAZY_FETCH",
    "GIT_PAGER",
    "GIT_PROTOCOL",
    "GIT_PROXY_",
    "GIT_SSH",
    "GIT_SSL_",
    "GIT_TEMPLATE_DIR",
)
# The variables that every call of git gets.
VARIABLES = {
    # A replacement (refs/replace) gives a commit other content in this clone than elsewhere.
    "GIT_NO_REPLACE_OBJECTS": "1",
    # Nobody answers git's questions.
    "GIT_TERMINAL_PROMPT": "0",
    # gitorch reads some messages, and the locale may translate them.
    "LANGUAGE": "en",
}


def options(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the `-c` options that give these values to the settings."""
    words: list[str] = []
    for name, value in settings.items():
        words += ("-c", f"{name}={value}")
    return tuple(words)


def values(settings: Mapping[str, Neutral]) -> dict[str, str]:
    return {name: setting.value for name, setting in settings.items()}
