"""`gitorch compare`: which runs are compared, and where their code comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.actions.compare import code_diffs, compare
from gitorch.actions.rerun import rerun
from gitorch.actions.selection import Selection
from gitorch.errors import UsageError
from gitorch.model.table.references import refers_to_one
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site
from tests.conftest import commit_files, gitorch, write

CONFIG = "lr: 1\ntasks: [{id: t, command: 'cat code.txt'}]\n"


@pytest.fixture
def site(project: Path) -> Site:
    """Return a site with the same run at two commits."""
    write(project, "experiments/e.yaml", CONFIG)
    for text in ("old", "new"):
        commit_files(project, {"code.txt": f"{text}\n"}, f"The {text} code")
        gitorch(project, "ready")
    return Site.at(project)


def test_named_runs_are_compared_in_their_order(site: Site) -> None:
    compared = compare(site, Selection(references=["@", "@~1"]))
    [new, old] = compared.records
    assert new.created > old.created
    assert compared.comparison.runs == (new.id, old.id)
    assert not compared.comparison.same


def test_runs_selected_by_properties_are_compared_oldest_first(site: Site) -> None:
    [first, second] = compare(site, Selection(everything=True)).records
    assert first.created < second.created


def test_a_run_can_be_compared_with_itself(site: Site) -> None:
    compared = compare(site, Selection(references=["@", "@"]))
    assert len(compared.records) == 2
    assert compared.comparison.same


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(references=["@"]), "compare needs at least two runs"),
        (
            Selection(where="params.lr == 2"),
            "compare needs at least two runs, and 0 match",
        ),
    ],
)
def test_one_run_is_too_few(site: Site, selection: Selection, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        compare(site, selection)
    assert raised.value.message == message


def test_the_code_is_compared_between_the_commits_of_the_runs(site: Site) -> None:
    compared = compare(site, Selection(everything=True))
    code = compared.comparison.code
    assert [change.subject for change in code.commits] == ["The new code"]
    assert [(file.path, file.status) for file in code.files] == [("code.txt", "M")]
    [(heading, difference)] = code_diffs(site, compared.records, color=False)
    assert heading is None, "there is only one pair of commits"
    assert b"-old\n+new" in difference


def test_after_a_rerun_a_label_means_the_original(site: Site) -> None:
    """Repeat the newest run twice, and name it in every way."""
    before = Catalog.of(site).find(["@"])[0]
    for reference in (before, "@"):
        rerun(site, Selection(references=[reference]), environment={})
    newest = Catalog.of(site).find(["@"])[0]
    label = "e"
    expected = {
        (label, "@"): (before, newest),
        ("@", label): (newest, before),
        (label, newest): (before, newest),
        (label, newest[:6]): (before, newest),
        (label, "@~2"): (newest, before),
        (label, before): (newest, before),
        ("@", newest): (newest, newest),
        (label, label): (newest, newest),
    }
    for references, run_ids in expected.items():
        compared = compare(site, Selection(references=references))
        assert compared.comparison.runs == run_ids, references


def test_a_label_of_several_new_runs_means_the_newest(site: Site) -> None:
    assert compare(site, Selection(references=["e", "@"])).comparison.same


def test_a_name_that_is_the_beginning_of_an_id_is_a_name() -> None:
    assert not refers_to_one("e", "e1b6054d8999")
    assert refers_to_one("e1b6", "e1b6054d8999")
    assert refers_to_one("@~2", "e1b6054d8999")
