"""The committed file of a worktree with the parameters of a task laid over it (`paramsFile`)."""

from __future__ import annotations

from gitorch.errors import Refused
from gitorch.model.run.spec import seen_params
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.tools.files import write_aside
from gitorch.tools.untrusted import read_plain

_LARGEST = 1 << 20  # bytes


def lay_params_over(attempt: ClaimedAttempt) -> None:
    """Write the parameters into the file that the config names, if it names one.

    The next attempt finds the file as it is committed, since its worktree is brought to the pin.
    Raises Refused, OSError.
    """
    spec = attempt.payload.spec
    if spec.params_file is None:
        return
    from gitorch.config.params_file import (  # noqa: PLC0415 (yaml: only where it is needed)
        BadParamsFile,
        overlaid,
    )

    path = attempt.run.tree / spec.params_file
    data = read_plain(path, _LARGEST, below=attempt.run.tree)
    params = seen_params(spec, attempt.task)
    try:
        content = overlaid(data, spec.params_file, params)
    except BadParamsFile as error:
        raise Refused(f"paramsFile: {spec.params_file}: {error}") from error
    if content != data:
        write_aside(path, content, mode=path.stat().st_mode & 0o777)
    attempt.directory.overlay.write_bytes(content)


def unchanged_params_file(attempt: ClaimedAttempt) -> tuple[str, ...]:
    """Return the name of the file if it is as gitorch left it: it is not a change by the task."""
    name = attempt.payload.spec.params_file
    if name is None:
        return ()
    tree, directory = attempt.run.tree, attempt.directory
    try:
        written = read_plain(
            directory.overlay, 2 * _LARGEST, below=directory.workspace
        )
        found = read_plain(tree / name, 2 * _LARGEST, below=tree)
    except OSError:
        return ()
    return (name,) if written == found else ()
