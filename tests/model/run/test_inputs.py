"""The data of a run that an input names."""

from __future__ import annotations

from gitorch.model.run.inputs import entries_of
from gitorch.model.run.record import Data


def test_an_input_has_one_entry_for_each_file_or_one_for_all_files() -> None:
    paths = (
        "data/a.csv",
        "data/b.csv",
        "data/deep/c.csv",
        "/big/x.bin",
        "~/mine/y.bin",
    )
    single = {path: Data(path=path, size=1, sha256="a" * 64) for path in paths}
    group = Data(path="data", size=99, sha256="b" * 64, files=51)
    data = (*single.values(), group)
    assert entries_of("data", data) == (group,)
    assert [entry.path for entry in entries_of("data/*.csv", data)] == [
        "data/a.csv",
        "data/b.csv",
    ]
    assert entries_of("data/a.csv", data) == (single["data/a.csv"],)
    assert entries_of("/big", data) == (single["/big/x.bin"],)
    assert entries_of("~/mine/*", data) == (single["~/mine/y.bin"],)
    assert entries_of("data/d*", data) == (single["data/deep/c.csv"],)
    assert entries_of("other", data) == ()
