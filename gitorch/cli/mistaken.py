"""The names that people try for commands of gitorch, since git and other programs have them."""

from __future__ import annotations

from gitorch.cli.verbs import VERBS
from gitorch.errors import UsageError

# What to type, and the names that people try for it. A name that is a command by now is not read.
_TRIED = {
    "init": "new create setup template scaffold",
    "check": "validate lint test parse",
    "ready": "submit add enqueue queue commit push pin prepare stage plan sweep grid "
    "schedule",
    "ready --again": "requeue",
    "run": "start exec execute go launch work worker process train resume continue play "
    "experiment",
    "status": "ps top jobs progress watch monitor queue state dashboard eta",
    "list": "ls ll runs history table results experiments find search query filter "
    "leaderboard view",
    "show ID": "info describe inspect history detail details view metrics params",
    "logs ID": "log output stdout stderr print",
    "logs -f ID": "tail follow attach",
    "cat ID PATH": "get open",
    "outputs ID --to DIR": "artifacts files download export get",
    "compare A B": "diff cmp difference changes delta vs",
    "checkout-run ID": "checkout worktree fetch",
    "revert ID": "restore reset switch undo back return",
    "rerun ID": "repeat replay reproduce repro redo again",
    "verify ID": "reproduce repro replicate prove confirm",
    "invalidate ID": "distrust discredit taint retract doubt",
    "hold ID": "pause suspend stop block freeze",
    "release ID": "unhold resume continue unpause unblock",
    "kill ID": "rm remove del delete cancel stop abort terminate drop discard interrupt "
    "end",
    "retry ID": "resume continue restart recover retrying",
    "fail ID": "abandon giveup give-up close",
    "resubmit ID": "requeue reopen unfail",
    "adopt ID": "take claim own import",
    "set ID --priority N": "priority prio nice renice update edit",
    "collect": "gc prune clean cleanup purge tidy compact vacuum pack",
    "doctor": "fsck repair fix diagnose health heal",
    "demo": "example tutorial sample",
    "help": "man manual docs doc topics",
    "help settings": "config settings setting options configure",
    "help config": "config yaml schema",
    "help where": "where filter query",
    "help sharing": "sync share remote pull push fetch clone merge upload",
    "--version": "version",
    "--install-completion": "completion completions autocomplete",
}


def other_name(name: str) -> UsageError | None:
    """Return the error for another name of a command, with the commands that may be meant.

    The result is None if the name is not known.
    """
    meant = []
    for usage, names in _TRIED.items():
        if name.lower() in names.split():
            meant.append(_line(usage))
    if not meant:
        return None
    hint = "\n      ".join(meant)
    return UsageError(f"gitorch has no command {name!r}", hint)


def _line(usage: str) -> str:
    verb = VERBS.get(usage.split(" ")[0])
    if usage.startswith("help ") or verb is None:
        return f"gitorch {usage}"
    summary = verb.summary.removesuffix(".")
    return f"gitorch {usage}: {summary[0].lower()}{summary[1:]}"
