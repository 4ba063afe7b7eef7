"""Opening databases: transactions, snapshots, and errors that name the database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gitorch.database.connection import (
    Database,
    DatabaseBroken,
    DatabaseDamaged,
    DatabaseFormat,
)
from gitorch.errors import Busy
from tests.conftest import commit_files

FORMAT = DatabaseFormat(
    name="file digests",
    version=7,
    statements="digests.sql",
    pragmas=("journal_mode = WAL",),
    timeout_s=0.1,
    repair="delete it",
)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database.open(tmp_path / "digests.db", FORMAT)
    with database.transaction() as execute:
        execute("create")
        execute.set_version()
    return database


def paths(database: Database) -> list[bytes]:
    return [path for (path,) in database.query("SELECT path FROM digests")]


def entry(path: bytes) -> dict[str, object]:
    return {"path": path, "facts": "", "sha256": ""}


def test_a_transaction_takes_effect_as_a_whole(database: Database) -> None:
    assert database.version() == 7
    with database.transaction() as execute:
        execute.many("remember", [entry(b"a"), entry(b"b")])
    with pytest.raises(ZeroDivisionError), database.transaction() as execute:  # noqa: PT012
        execute("remember", **entry(b"c"))
        _ = 1 / 0
    assert paths(database) == [b"a", b"b"]


def test_a_snapshot_does_not_see_later_changes(
    database: Database, tmp_path: Path
) -> None:
    other = Database.open(tmp_path / "digests.db", FORMAT)
    with database.snapshot():
        assert paths(database) == []
        with other.transaction() as execute:
            execute("remember", **entry(b"a"))
        assert paths(database) == []
    assert paths(database) == [b"a"]


def test_a_database_can_be_in_memory() -> None:
    database = Database.open(None, FORMAT)
    with database.transaction() as execute:
        execute("create")
    assert paths(database) == []
    with pytest.raises(
        DatabaseBroken, match="cannot use the file digests in memory"
    ):
        database.query("SELECT 1 FROM missing")


def test_a_lock_that_is_held_too_long_is_an_error(
    database: Database, tmp_path: Path
) -> None:
    other = Database.open(tmp_path / "digests.db", FORMAT)
    message = f"the file digests {tmp_path / 'digests.db'} is locked"
    with (
        database.transaction(),
        pytest.raises(Busy, match=message),
        other.transaction(),
    ):
        pass


def test_an_error_about_damage_names_the_database_and_the_repair(
    tmp_path: Path,
) -> None:
    path = tmp_path / "digests.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(DatabaseDamaged) as raised:
        Database.open(path, FORMAT)
    assert (
        raised.value.message
        == f"the file digests {path} is damaged: file is not a database"
    )
    assert raised.value.hint == "delete it"
    assert raised.value.kind == "file digests-broken"
    assert raised.value.reason == "file is not a database"


def test_a_bug_is_not_translated(database: Database) -> None:
    with pytest.raises(sqlite3.ProgrammingError):
        database.fetch("recall")


def test_a_database_that_is_opened_to_read_is_not_changed(
    database: Database, tmp_path: Path
) -> None:
    reader = Database.open_read_only(tmp_path / "digests.db", FORMAT)
    with (
        pytest.raises(DatabaseBroken, match="readonly"),
        reader.transaction() as execute,
    ):
        execute("remember", **entry(b"a"))
    with pytest.raises(DatabaseBroken, match="unable to open"):
        Database.open_read_only(tmp_path / "missing.db", FORMAT).version()
    assert not (tmp_path / "missing.db").exists()


def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    path = tmp_path / "a b?c#d%20.db"
    Database.open(path, FORMAT).close()
    assert Database.open_read_only(path, FORMAT).version() == 0


def test_the_end_of_a_process_leaves_no_file_beside_a_database(
    tmp_path: Path,
) -> None:
    program = """if True:
        import atexit, os
        from pathlib import Path
        from gitorch.database.queue_file import opened
        databases = [opened(Path("queue.db"), "home") for _ in range(3)]
        assert Path("queue.db-wal").exists()
        atexit._run_exitfuncs()
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.glob("*.db*")] == ["queue.db"]


def test_a_command_leaves_no_file_beside_the_databases(project: Path) -> None:
    commit_files(project, {"experiments/e.yaml": "tasks: [{id: a, command: echo}]"})
    state = project / ".git/gitorch"
    for words in (["ready"], ["run"], ["list"], ["status"]):
        subprocess.run(
            [sys.executable, "-m", "gitorch", *words], cwd=project, check=True
        )
        assert sorted(path.name for path in state.glob("*.db*")) == [
            "index.db",
            "queue.db",
        ], words


def test_a_database_that_is_not_used_any_more_is_closed(
    database: Database, tmp_path: Path
) -> None:
    directory = tmp_path / "other"
    directory.mkdir()
    other = Database.open(directory / "digests.db", FORMAT)
    with other.transaction() as execute:
        execute("create")
    assert (directory / "digests.db-wal").exists()
    del other, execute
    assert [path.name for path in directory.iterdir()] == ["digests.db"]
