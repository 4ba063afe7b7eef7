"""Selecting runs by reference or by their properties."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.actions.selection import (
    Selection,
    explain_empty_selection,
    select_rows,
)
from gitorch.errors import NotFound, UsageError
from gitorch.model.run.status import Status
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site
from tests.conftest import gitorch, write

CONFIG = "lr: {lr}\ntasks: [{{id: t, command: 'true'}}]\n"


@pytest.fixture
def site(project: Path) -> Site:
    """Return a site with the runs `first` and `second`, of which `second` is held."""
    write(project, "experiments/first.yaml", CONFIG.format(lr=1))
    gitorch(project, "ready")
    write(project, "experiments/second.yaml", CONFIG.format(lr=2))
    gitorch(project, "ready", "--hold")
    return Site.at(project)


def names(site: Site, selection: Selection) -> list[str]:
    return [row.name for row in select_rows(Catalog.of(site), selection, "retry")]


def test_an_empty_selection_is_an_error_that_names_the_verb(site: Site) -> None:
    assert Selection().is_empty
    with pytest.raises(UsageError, match=r"which runs\? gitorch retry ID"):
        names(site, Selection())


def test_named_runs_come_in_the_order_of_their_references_each_once(
    site: Site,
) -> None:
    selection = Selection(references=["first", "@", "first"])
    assert selection.is_named
    assert names(site, selection) == ["first", "second"]
    with pytest.raises(NotFound):
        names(site, Selection(references=["third"]))


def test_properties_are_combined_and_the_newest_run_comes_first(site: Site) -> None:
    assert names(site, Selection(everything=True)) == ["second", "first"]
    assert names(site, Selection(where="params.lr < 5", name="f*")) == ["first"]
    assert names(site, Selection(status=Status.HOLD)) == ["second"]
    assert names(site, Selection(status=Status.HOLD, name="f*")) == []


def test_an_empty_result_is_explained(site: Site) -> None:
    assert explain_empty_selection(site, None) == "no run matches"
    explanation = explain_empty_selection(site, "metrics.loss > 1")
    assert explanation.startswith("no run matches; no run has metrics.loss")


def test_without_any_run_the_explanation_says_what_to_do(project: Path) -> None:
    assert (
        explain_empty_selection(Site.at(project), None)
        == "no runs yet; next: gitorch ready"
    )
