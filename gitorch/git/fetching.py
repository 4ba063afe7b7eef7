"""The command that fetches large files which this clone lacks."""

from __future__ import annotations

import shlex
import shutil

from gitorch.git.repository import Repository


def how_to_fetch(
    repo: Repository, commit: str | None = None, *, of_submodule: bool = False
) -> str:
    """Return a hint at the way to get the missing large files of `commit`, or of all commits.

    With `of_submodule`, they are files of the repository's submodules.
    """
    hint = _command(repo, commit, of_submodule=of_submodule)
    if shutil.which("git-lfs"):
        return hint
    return f"install git-lfs, for example with apt-get install git-lfs; then {hint}"


def _command(repo: Repository, commit: str | None, *, of_submodule: bool) -> str:
    if of_submodule:
        return "git submodule foreach --recursive git lfs fetch --all"
    remote = next(iter(repo.remotes()), None)
    if remote is None:
        store = shlex.quote(str(repo.lfs_dir))
        fetch = "git lfs pull" if commit else "git lfs fetch --all"
        return (
            f"cp -r OTHER/.git/lfs/. {store}, where OTHER is a clone that has it; "
            f"or git remote add origin URL && {fetch}"
        )
    if commit is None:
        return f"git lfs fetch --all {shlex.quote(remote)}, if it was pushed there"
    fetch = f"git lfs fetch {shlex.quote(remote)} {commit[:12]}"
    return f"{fetch} (git lfs pull for HEAD), if it was pushed there"
