"""Similar failures, gathered: those of the same task with the same cause.

Two failures have the same cause if they agree in the kind of the outcome with its exit code or
signal, in the reason, and in the place. The reason is compared without what differs from run to
run:

- of a path, only the last part counts: `/a/3f2a91bc0d12/tree/x.csv` is `x.csv`;
- ids and addresses are `#`: hexadecimal numbers, and words of eight characters or more in which
  letters and digits are mixed;
- numbers are `#`, and so are lists of numbers.

The place is the `file:line` at which a traceback ends. A failure for which none is known agrees
with every place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from gitorch.model.run.outcome import ExitCode, Outcome, Signalled
from gitorch.model.values import identity_key

# `re` compiles these when something fails.
_FROM_ANOTHER_RUN = r"^as in run [0-9a-f]+(: |$)"
_PATH = r"(?:[A-Za-z]:)?[\w.@%+=~-]*(?:[/\\][\w.@%+=~-]+)+[/\\]?"
_ID = r"\b0x[0-9a-fA-F]+\b|\b(?=[a-z_-]*\d)(?=[\d_-]*[a-z])[\w-]{8,}\b|\btmp\w{8}\b"
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_LIST = r"#(?:[\s,x]*#)+"
# More than people write. A bound on the time that a text without spaces takes.
_COMPARED = 500

Params = Mapping[str, Any]  # by dotted keys


class Failure(Struct, frozen=True, kw_only=True):
    """The end of a task in ERROR.

    `location` is the `file:line` at which a traceback ends, None if it is unknown.
    """

    run_id: str
    label: str
    task: str
    outcome: Outcome
    location: str | None = None


class SimilarFailures(Struct, kw_only=True):
    """Failures with the same cause, in the order in which they were added.

    If the first one was taken from another run, one that happened in its own run takes its place.
    """

    failures: list[Failure] = field(default_factory=list)
    location: str | None = None

    @property
    def first(self) -> Failure:
        return self.failures[0]

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Return the ids of the runs that failed so, each once."""
        return tuple(dict.fromkeys(failure.run_id for failure in self.failures))


class Gathering:
    """Failures, gathered by their causes while they are added."""

    def __init__(self, failures: Iterable[Failure] = ()) -> None:
        self._by_reason: dict[tuple[str, ...], list[SimilarFailures]] = {}
        for failure in failures:
            self.add(failure)

    def add(self, failure: Failure) -> SimilarFailures:
        """Add a failure. Return it with the earlier ones that have the same cause."""
        known = self._by_reason.setdefault(_reason_of(failure), [])
        location = failure.location
        for similar in known:
            if None in (location, similar.location) or location == similar.location:
                break
        else:
            similar = SimilarFailures()
            known.append(similar)
        if similar.failures and _is_own(failure) and not _is_own(similar.first):
            similar.failures.insert(0, failure)
        else:
            similar.failures.append(failure)
        similar.location = similar.location or location
        return similar

    def gathered(self) -> list[SimilarFailures]:
        """Return the failures by their causes, the most frequent cause first."""
        causes = [cause for known in self._by_reason.values() for cause in known]
        return sorted(causes, key=lambda cause: len(cause.run_ids), reverse=True)


def same_reason(reason: str) -> str:
    """Return the text that reasons share if they differ only from run to run; see above."""
    text = re.sub(_FROM_ANOTHER_RUN, "", reason[:_COMPARED])
    text = re.sub(_PATH, lambda path: re.split(r"[/\\]", path[0])[-1], text)
    for pattern in (_ID, _NUMBER, _LIST):
        text = re.sub(pattern, "#", text)
    return " ".join(text.split())


def common_params(failed: Sequence[Params], others: Sequence[Params]) -> Params:
    """Return the values that all of the `failed` runs share, and not all of the others.

    The result is empty if there are no others: then nothing sets the failed runs apart.
    """
    common: dict[str, Any] = {}
    if not others:
        return common
    for key, value in failed[0].items():
        one = {key: value}
        is_shared = len(having(failed, one)) == len(failed)
        if is_shared and len(having(others, one)) < len(others):
            common[key] = value
    return common


def having(runs: Sequence[Params], values: Params) -> list[Params]:
    """Return those of the runs that have all of these values."""
    wanted = {key: identity_key(value) for key, value in values.items()}
    found = []
    for params in runs:
        if all(
            key in params and identity_key(params[key]) == text
            for key, text in wanted.items()
        ):
            found.append(params)
    return found


def _is_own(failure: Failure) -> bool:
    """Return False if the failure was taken from another run with the same cache key."""
    return not re.match(_FROM_ANOTHER_RUN, failure.outcome.message or "")


def _reason_of(failure: Failure) -> tuple[str, ...]:
    outcome = failure.outcome
    number = ""
    match outcome:
        case ExitCode(exit_code=code) | Signalled(signal=code):
            number = str(code)
    return failure.task, outcome.kind, number, same_reason(outcome.message or "")
