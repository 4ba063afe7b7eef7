"""The topics of `gitorch help`: a text for each, with tables that are made from the code."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from typing import Any

from gitorch.cli.boundary import EXIT_CODE_MEANINGS
from gitorch.cli.confirmation import EFFECTS
from gitorch.model.run.status import Status, verbs
from gitorch.model.settings import SETTINGS
from gitorch.model.table.fields import OWN

TOPICS = {
    "config": "what an experiment's file contains",
    "states": "what WAITING, HOLD, ERROR and FAILED mean, and what is possible",
    "where": "the expressions that select runs",
    "settings": "git config gitorch.…",
    "files": "what lies where, and how to remove it all",
    "sharing": "results in several clones, with plain git",
    "exit-codes": "what the exit code says",
    "json": "the documents that --json prints",
    "clusters": "more than one machine: Slurm, Dask, and plug-ins",
    "from-scripts": "gitorch in scripts, and in tasks",
}
_WIDTH = 80
_MEANINGS = {
    Status.WAITING: "It is queued.",
    Status.RUNNING: "A worker executes one of its tasks.",
    Status.COMPLETE: "All of its tasks succeeded.",
    Status.ERROR: "A task failed. The run is still in the queue.",
    Status.FAILED: "It was given up, and left the queue. Its record stays.",
    Status.HOLD: "It is queued, and its tasks do not start.",
}
_DOCUMENTS = {
    "check": "check",
    "ready": "ready",
    "run": "run; with --detach, worker has host, pid, since and log",
    "stop": "stop; workers[] has host, pid, since, ended",
    "wait": "wait; runs[] has id, label, status",
    "status": "status",
    "list": "list; runs[] has id, name, label, status, params, metrics",
    "show": "show; run is the whole record",
    "compare": "compare; code.files[] has used: true, false or null",
    "env": "env",
    "metrics": "metrics; series is NAME: [[step, value, seconds], …]",
    "stale": "stale; runs[] has id, label, commit, files",
    "rerun": "rerun",
    "verify": "verify; verdicts[] has id, of, verdict, differs, also",
    "change": "hold, release, kill, retry, fail, resubmit, adopt, set, invalidate",
    "outputs": "outputs",
    "collect": "collect",
    "doctor": "doctor",
    "explore": "the page of ui, at /explore.json",
    "curves": "the page of ui, the curves of runs",
    "error": "every command: error has kind, message and hint",
}


def render_topic(topic: str) -> str:
    """Return the text of a topic."""
    text = files("gitorch.cli.manual").joinpath(f"{topic}.txt").read_text()

    def table(match: re.Match[str]) -> str:
        return "\n".join(_TABLES[match[1]]())

    filled = re.sub(r"^\{([a-z ]+)\}$", table, text, flags=re.M)
    return filled.replace("{columns}", _columns())


def _columns() -> str:
    lines = textwrap.wrap(", ".join(OWN), _WIDTH - 11)
    return ("\n" + " " * 11).join(lines)


def _listed(rows: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield the lines of a table: names of up to `width`, each with a text beside it."""
    for name, text in rows:
        lines = textwrap.wrap(text, _WIDTH - width - 4) or [""]
        if len(name) > width:
            yield f"  {name}"
            name = ""
        for line in lines:
            yield f"  {name:{width}}  {line}".rstrip()
            name = ""


def _states() -> Iterator[str]:
    rows = []
    for status in Status:
        possible = [verb for verb in verbs(status) if verb in EFFECTS]
        commands = ", ".join(possible) or "rerun"
        rows.append((str(status), f"{_MEANINGS[status]} Possible: {commands}."))
    return _listed(rows, 8)


def _settings() -> Iterator[str]:
    rows = []
    for setting in SETTINGS:
        default = f" [{setting.default}]" if setting.default else ""
        rows.append((f"gitorch.{setting.name}", f"{setting.meaning}{default}"))
    return _listed(rows, 23)


def _exit_codes() -> Iterator[str]:
    rows = [(str(code), text) for code, text in EXIT_CODE_MEANINGS.items()]
    return _listed(rows, 3)


def _documents() -> Iterator[str]:
    rows = [(f"gitorch/{name}/v1", text) for name, text in _DOCUMENTS.items()]
    return _listed(rows, 18)


def _notify_variables() -> Iterator[str]:
    from gitorch.cli.notifications import VARIABLES

    return _listed(VARIABLES.items(), 18)


def _effects() -> Iterator[str]:
    rows = []
    for verb, effect in EFFECTS.items():
        undo = (
            effect.undo or "cannot be undone: in a script, selected runs need --yes"
        )
        rows.append((verb, undo))
    return _listed(rows, 8)


def _keys(*path: str) -> Callable[[], Iterator[str]]:
    """Return a function that returns the keys that the schema allows at `path`."""

    def keys() -> Iterator[str]:
        text = files("gitorch.schemas").joinpath("config.schema.json").read_text()
        schema = json.loads(text)
        place: Any = schema
        for name in path:
            place = place[name]
        rows = []
        for key, value in place["properties"].items():
            target = value
            if "$ref" in value:
                target = schema["definitions"][value["$ref"].rpartition("/")[2]]
            description = target.get("description", "")
            rows.append((key, re.split(r"(?<=\.) (?=[A-Z{`'])", description)[0]))
        return _listed(rows, 12)

    return keys


_TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "states": _states,
    "settings": _settings,
    "exit codes": _exit_codes,
    "documents": _documents,
    "effects": _effects,
    "notify": _notify_variables,
    "keys of the file": _keys(),
    "keys of gitorch": _keys("definitions", "fileSettings"),
    "keys of a task": _keys("definitions", "task"),
    "keys of gitorch in a task": _keys("definitions", "taskSettings"),
}
