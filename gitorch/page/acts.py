"""The changes that the page can make: the same actions that the commands call."""

from __future__ import annotations

import json
import os
from typing import Any

from gitorch.actions.change_status import Changed, change_status
from gitorch.actions.kill import kill
from gitorch.actions.rerun import rerun
from gitorch.actions.retry import retry
from gitorch.actions.selection import Selection
from gitorch.actions.set import set_priority
from gitorch.errors import GitorchError, Refused, UsageError
from gitorch.model.run.status import Status, verbs
from gitorch.model.text.masking import Masking
from gitorch.page.view import Desk
from gitorch.storage.site import Site

# The verbs of the page, in the order of its buttons.
VERBS = ("hold", "release", "retry", "rerun", "priority", "kill")
_LIVE_ONLY = ("priority",)
_STATUSES = {"usage": 400, "not-found": 404, "refused": 409, "busy": 503}
_MOST_RUNS = 1_000
_LONGEST_REASON = 2_000  # characters


def possible(status: Status, *, read_only: bool) -> list[str]:
    """Return the verbs that a run of this status allows."""
    if read_only:
        return []
    allowed = {*verbs(status), "rerun"}
    if status not in (Status.COMPLETE, Status.FAILED):
        allowed |= {*_LIVE_ONLY}
    return [verb for verb in VERBS if verb in allowed]


def act(desk: Desk, body: bytes) -> tuple[int, dict[str, Any]]:
    """Carry out the change that `body` asks for. Return the HTTP status and the answer."""
    try:
        if desk.read_only:
            raise Refused(
                "this page was started with --read-only: it changes nothing"
            )
        return 200, _carried_out(desk.site, _parsed(body))
    except GitorchError as error:
        document = {
            "kind": error.kind,
            "message": error.message,
            "hint": error.hint,
        }
        answer = {"schema": "gitorch/error/v1", "error": document}
        return _STATUSES.get(error.kind, 500), answer


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError):
        wish = None
    if not isinstance(wish, dict):
        raise UsageError("the body is not a JSON object")
    run_ids = wish.get("runs")
    if not isinstance(run_ids, list) or not all(map(_is_text, run_ids)):
        raise UsageError("`runs` must be a list of ids")
    if not 0 < len(run_ids) <= _MOST_RUNS:
        raise UsageError(f"`runs` must name between 1 and {_MOST_RUNS} runs")
    if wish.get("verb") not in VERBS:
        raise UsageError(f"`verb` must be one of {', '.join(VERBS)}")
    why = wish.get("why") or ""
    if not _is_text(why) or len(why) > _LONGEST_REASON:
        raise UsageError(
            f"`why` must be a text of at most {_LONGEST_REASON} characters"
        )
    return wish


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _carried_out(site: Site, wish: dict[str, Any]) -> dict[str, Any]:
    verb = wish["verb"]
    selection = Selection(references=wish["runs"])
    why = Masking(os.environ).text(wish.get("why") or "").strip() or None
    if verb == "rerun":
        repeated = rerun(site, selection, environment=os.environ, why=why)
        return repeated.to_json()
    return _changed(site, verb, selection, why, wish).to_json()


def _changed(
    site: Site,
    verb: str,
    selection: Selection,
    why: str | None,
    wish: dict[str, Any],
) -> Changed:
    if verb == "kill":
        return kill(site, selection, why=why)
    if verb == "retry":
        return retry(site, selection, environment=os.environ, why=why)
    if verb == "priority":
        priority = wish.get("priority")
        if not isinstance(priority, int) or isinstance(priority, bool):
            raise UsageError("`priority` must be an integer")
        return set_priority(site, selection, priority, why=why)
    return change_status(site, verb, selection, why=why)
