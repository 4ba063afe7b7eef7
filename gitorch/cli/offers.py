"""The words that a shell offers for an argument or the value of an option.

Each function returns the words that begin with `incomplete`, with a description of each if it has
one. `ctx.obj` holds the words before it on the command line. Outside a repository there are none. A
function reads the index and the queue, but no record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gitorch.cli.style import in_line
from gitorch.errors import GitorchError
from gitorch.model.run.ids import LAST
from gitorch.model.run.status import Status, sources

if TYPE_CHECKING:
    from gitorch.model.table.row import Row
    from gitorch.storage.catalog import Catalog
    from gitorch.storage.site import Site

Offer = tuple[str, str]  # a word, and its description or ""

_MOST = 100  # more words are too many to choose from
_LOOKED_AT = 500  # runs of which the columns are offered
_CONFIGS = 50  # files of which the parameters are offered


def runs_for_verb(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the runs that the verb of the command line can take, except those named already."""
    offers = complete_runs(incomplete, ctx.info_name)
    return [offer for offer in offers if offer[0] not in ctx.obj]


def complete_runs(incomplete: str, verb: str | None = None) -> list[Offer]:
    """Offer names and ids of runs; and labels, once a whole name has been typed."""
    if incomplete.startswith("@"):
        references = {"@": "the latest run", LAST: "the runs that were queued last"}
        return [offer for offer in references.items() if incomplete in offer[0]]
    with suppress(GitorchError, OSError):
        site, catalog = _opened()
        takes = _RUNS.get(verb or "")
        if takes is None:
            return _shown(_any_runs(catalog, incomplete))
        return _shown(_these_runs(catalog, takes(site, catalog), incomplete))
    return []


def _any_runs(catalog: Catalog, incomplete: str) -> Iterator[Offer]:
    names = catalog.names()
    for name in names:
        if name.startswith(incomplete):
            yield name, "the latest of this name"
    if any(incomplete.startswith(name) for name in names):
        for run in catalog.labelled(incomplete, _MOST):
            if run.label != run.name:
                yield run.label, run.id
    for run in catalog.beginning(incomplete):
        yield run.id, run.label


def _found(catalog: Catalog, word: str) -> str | None:
    """Return the run to which a word refers, or None if it refers to none or to several."""
    try:
        return catalog.find_one(word)
    except GitorchError:
        return None


def _these_runs(
    catalog: Catalog, rows: Sequence[Row], incomplete: str
) -> Iterator[Offer]:
    """Offer these runs. A name or label that means another run, a later one, is left out."""

    def means(word: str, row: Row) -> bool:
        return word.startswith(incomplete) and _found(catalog, word) == row.id

    for row in rows:
        if means(row.name, row):
            yield row.name, f"{row.status}, the latest of this name"
    for row in rows:
        is_chosen = row.label != row.name and incomplete.startswith(row.name)
        if is_chosen and means(row.label, row):
            yield row.label, f"{row.status}, {row.id}"
    for row in rows:
        if row.id.startswith(incomplete):
            yield row.id, f"{row.status}, {row.label}"


def _changeable(verb: str) -> Callable[[Site, Catalog], list[Row]]:
    """Return a function that returns the runs which `verb` can change."""

    def changeable(site: Site, catalog: Catalog) -> list[Row]:
        from gitorch.actions.changeable import refusal

        rows, _ = catalog.standing()
        if Status.FAILED in sources(verb):
            rows = [*rows, *catalog.newest_rows(_MOST, Status.FAILED)]
        return [
            row
            for row in rows
            if refusal(site, verb, row, catalog.queued.get(row.id)) is None
        ]

    return changeable


def _own(site: Site, catalog: Catalog) -> list[Row]:
    """Return the unfinished runs of this clone."""
    clone = site.repository.clone_id()
    return [row for row in catalog.standing()[0] if row.clone == clone]


def _executable(site: Site, catalog: Catalog) -> list[Row]:
    return [row for row in _own(site, catalog) if row.status is Status.WAITING]


def _of_other_clones(site: Site, catalog: Catalog) -> list[Row]:
    clone = site.repository.clone_id()
    return [row for row in catalog.standing()[0] if row.clone != clone]


# The runs that a verb can take. Every other verb takes any run.
_RUNS: dict[str, Callable[[Site, Catalog], list[Row]]] = {
    **{
        verb: _changeable(verb)
        for verb in ("hold", "release", "kill", "retry", "fail", "resubmit")
    },
    "set": _own,
    "run": _executable,
    "adopt": _of_other_clones,
}


def workers(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the pids of the living workers, except those named already."""
    from gitorch.storage.liveness import living

    offers = []
    with suppress(GitorchError, OSError):
        site = _site()
        registered = site.queue.workers() if site.queue_path.exists() else []
        alive = living(site.state, registered)
        for worker in registered:
            pid = str(worker.pid)
            if worker.id in alive and pid.startswith(incomplete):
                offers.append((pid, f"since {worker.since}"))
    return _shown(offer for offer in offers if offer[0] not in ctx.obj)


def configs(incomplete: str) -> list[Offer]:
    """Offer configs and directories."""
    parent = Path(
        incomplete if incomplete.endswith("/") else Path(incomplete).parent
    )
    head = incomplete[: incomplete.rfind("/") + 1]
    offers = []
    with suppress(OSError):
        for path in sorted(parent.iterdir()):
            word = head + path.name
            is_hidden = path.name.startswith(".") and not incomplete.endswith(".")
            if is_hidden or not word.startswith(incomplete):
                continue
            if path.is_dir():
                offers.append((f"{word}/", ""))
            elif path.suffix in (".yaml", ".yml"):
                offers.append((word, ""))
    return _shown(offers)


def runs_and_configs(incomplete: str) -> list[Offer]:
    return [*complete_runs(incomplete, "run"), *configs(incomplete)]


def statuses(incomplete: str) -> list[Offer]:
    words = [str(status) for status in Status]
    if incomplete.islower():  # a shell keeps what is typed already
        words = list(map(str.lower, words))
    return _beginning(words, incomplete)


def tasks(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the tasks of the runs that are named, or of the latest run."""
    found: dict[str, None] = {}
    with suppress(GitorchError, OSError):
        _, catalog = _opened()
        named = [word for word in ctx.obj if _found(catalog, word)]
        for row in catalog.named(named or ["@"]):
            found |= dict.fromkeys(catalog.complete_tasks_of(row.id))
            found |= dict.fromkeys(task.id for task in row.tasks)
    return _beginning(found, incomplete)


def columns(incomplete: str) -> list[Offer]:
    """Offer the columns of `list` by their shortest names; a `-` before a name stays."""
    from gitorch.model.table.fields import OWN, known_fields, meant

    sign = "-" if incomplete.startswith("-") else ""
    words = [*OWN]
    with suppress(GitorchError, OSError):
        _, catalog = _opened()
        known = known_fields(catalog.newest_rows(_LOOKED_AT))
        for path in known:
            short = ".".join(path[1:])
            is_clear = len(meant(short, known)) == 1 and short not in OWN
            words.append(short if is_clear else ".".join(path))
    return _beginning([sign + word for word in words], incomplete)


def revisions(incomplete: str) -> list[Offer]:
    """Offer HEAD, branches and tags, but not the results branch."""
    from gitorch.git.command import call_git_lines

    words = ["HEAD"]
    with suppress(GitorchError, OSError):
        site = _site()
        listed = call_git_lines(
            site.repository.root,
            "for-each-ref",
            "--format=%(refname:short)",
            *("refs/heads", "refs/tags", "refs/remotes"),
        )
        results = site.repository.settings.branch
        words += [word for word in listed if not word.endswith(results)]
    return _beginning(words, incomplete)


def overrides(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the parameters of the configs that are named, else of those in experiments/."""
    if "=" in incomplete:
        return []
    named = [word for word in ctx.obj[1:] if Path(word).exists()] or ["experiments"]
    removes = incomplete.startswith("~")
    words: dict[str, None] = {}
    for key in _parameters(map(Path, named)):
        words[f"~{key}" if removes else f"{key}="] = None
    return _beginning(words, incomplete)


def _parameters(paths: Iterable[Path]) -> Iterator[str]:
    from gitorch.config.bases import extend  # with YAML: 40 ms
    from gitorch.config.discovery import find_configs, read_config
    from gitorch.config.parameters import Parameters
    from gitorch.config.yaml_parser import parse_document
    from gitorch.model.run.spec import OWN_KEYS

    for path in paths:
        with suppress(GitorchError, OSError):
            for file in find_configs(path)[:_CONFIGS]:
                document = extend(parse_document(read_config(file), str(file)))
                value = document.document.value
                if isinstance(value, dict):
                    yield from Parameters(value).swept
                    yield from _dotted(value, OWN_KEYS)


def _dotted(value: Any, without: Iterable[str] = ()) -> Iterator[str]:
    """Yield the keys of a mapping, and those of the mappings in it, such as `model.depth`."""
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key in without:
            continue
        if isinstance(inner, dict) and inner:
            for name in _dotted(inner):
                yield f"{key}.{name}"
        else:
            yield str(key)


def topics(incomplete: str) -> list[Offer]:
    from gitorch.cli.topics import TOPICS
    from gitorch.cli.verbs import VERBS

    offers = [
        *TOPICS.items(),
        *((name, verb.summary) for name, verb in VERBS.items()),
    ]
    return _shown(offer for offer in offers if offer[0].startswith(incomplete))


def words(*choices: str) -> Callable[[str], list[Offer]]:
    """Return a function that offers these words; in a list with commas, the last one."""

    def offer(incomplete: str) -> list[Offer]:
        head = incomplete[: incomplete.rfind(",") + 1]
        return _beginning([head + choice for choice in choices], incomplete)

    return offer


def _site() -> Site:
    from gitorch.storage.site import Site

    return Site.at(Path.cwd())


def _opened() -> tuple[Site, Catalog]:
    from gitorch.storage.catalog import Catalog

    site = _site()
    return site, Catalog.of(site)


def _beginning(words: Iterable[str], incomplete: str) -> list[Offer]:
    return _shown((word, "") for word in words if word.startswith(incomplete))


def _shown(offers: Iterable[Offer]) -> list[Offer]:
    """Return the first offers, each word once, without words that a terminal cannot show."""
    shown: dict[str, str] = {}
    for word, description in offers:
        if word.isprintable():
            shown.setdefault(word, in_line(description))
        if len(shown) == _MOST:
            break
    return list(shown.items())
