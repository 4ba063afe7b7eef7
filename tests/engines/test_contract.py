"""The contract of engines, tested on each of them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gitorch.engines.contract import Ended, Engine, recorded_end
from gitorch.engines.local import LocalEngine
from gitorch.engines.registry import ENGINES
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Interrupted,
    Killed,
    Outcome,
    Signalled,
    Succeeded,
    TimedOut,
)
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.tools import clock
from tests.engines.bench import (
    carry_out,
    eventually,
    living,
    log_of,
    next_ends,
    order,
    shell,
)
from tests.engines.plain import PlainEngine


def plug_in() -> Callable[[int, Path], Engine]:
    """Return the engine that CONTRIBUTING.md shows."""
    page = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)
    made: Callable[[int, Path], Engine] = names["ExecutorEngine"]
    return made


MADE: dict[str, Callable[[int, Path], Engine]] = {
    **ENGINES,
    "plain": lambda slots, _: PlainEngine(slots),
    "plug-in": plug_in(),
}


@pytest.fixture(params=MADE)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param in ("slurm", "dask"):
        request.getfixturevalue(request.param)
    with MADE[request.param](2, tmp_path / "lock") as engine:
        yield engine


def test_a_success_is_reported_once_with_its_times(
    engine: Engine, tmp_path: Path
) -> None:
    before = clock.parse(clock.now())
    wanted = shell(tmp_path, "sleep 0.05")
    ended = carry_out(engine, [wanted])[wanted.token]
    assert ended.outcome == Succeeded()
    assert 0.05 <= ended.duration_s < 5
    started, stopped = clock.parse(ended.started), clock.parse(ended.ended)
    assert before <= started
    assert abs(
        (stopped - started) - timedelta(seconds=ended.duration_s)
    ) < timedelta(milliseconds=50)
    assert ended.left_running == 0
    assert engine.poll() == []


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("exit 3", ExitCode(exit_code=3)),
        ("kill -9 $$", Signalled(signal=9)),
        ("kill -15 $$", Signalled(signal=15)),
    ],
)
def test_a_failure_has_its_exit_code_or_signal(
    engine: Engine, tmp_path: Path, script: str, outcome: Outcome
) -> None:
    wanted = shell(tmp_path, script)
    assert carry_out(engine, [wanted])[wanted.token].outcome == outcome


def test_a_missing_program_could_not_start(engine: Engine, tmp_path: Path) -> None:
    wanted = order(tmp_path, "no-such-program")
    outcome = carry_out(engine, [wanted])[wanted.token].outcome
    assert isinstance(outcome, CouldNotStart)
    assert "no-such-program" in (outcome.message or "")


def test_a_missing_working_directory_could_not_start(
    engine: Engine, tmp_path: Path
) -> None:
    wanted = order(tmp_path, "true", cwd=tmp_path / "gone")
    outcome = carry_out(engine, [wanted])[wanted.token].outcome
    assert isinstance(outcome, CouldNotStart)
    assert "gone" in (outcome.message or "")


def test_log_holds_both_streams_in_order_and_is_appended_to(
    engine: Engine, tmp_path: Path
) -> None:
    wanted = shell(tmp_path, "echo one; echo two >&2; echo three")
    (wanted.directory / "log.txt").write_text("zero\n")
    carry_out(engine, [wanted])
    assert log_of(wanted) == "zero\none\ntwo\nthree\n"


def test_program_has_its_directory_and_exactly_its_environment(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "a b").mkdir()
    wanted = shell(
        tmp_path,
        "pwd; exec env",
        cwd=tmp_path / "a b",
        env={"NAME": "ä\n=", "LONG": "x" * 100_000},
    )
    carry_out(engine, [wanted])
    first, _, variables = log_of(wanted).partition("\n")
    assert first == str(tmp_path / "a b")
    assert "NAME=ä\n=\n" in variables
    assert "LONG=" + "x" * 100_000 in variables
    assert "HOME=" not in variables


def test_program_reads_nothing_and_is_the_leader_of_a_session(
    engine: Engine, tmp_path: Path
) -> None:
    wanted = shell(tmp_path, "cat; ps -o sid= -p $$ | grep -qw $$ && echo leader")
    carry_out(engine, [wanted])
    assert log_of(wanted) == "leader\n"


def test_an_order_is_not_started_twice(engine: Engine, tmp_path: Path) -> None:
    wanted = shell(tmp_path, "echo started")
    engine.submit(wanted)
    engine.submit(wanted)
    next_ends(engine, 1)
    engine.submit(wanted)
    assert engine.free() == 2
    assert log_of(wanted) == "started\n"


def test_as_many_attempts_run_at_a_time_as_there_are_slots(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "met").mkdir()
    meet = 'touch met/$$; while [ "$(ls met | wc -l)" -lt 2 ]; do sleep 0.01; done'
    first, second = shell(tmp_path, meet), shell(tmp_path, meet)
    assert engine.slots == engine.free() == 2
    engine.submit(first)
    assert engine.free() == 1
    engine.submit(second)
    assert engine.free() == 0
    assert {ended.outcome.kind for ended in next_ends(engine, 2)} == {
        OutcomeKind.SUCCEEDED
    }
    assert engine.free() == 2


def test_time_limit(engine: Engine, tmp_path: Path) -> None:
    wanted = shell(tmp_path, "sleep 60", timeout_s=0.1)
    began = time.monotonic()
    outcome = carry_out(engine, [wanted])[wanted.token].outcome
    assert isinstance(outcome, TimedOut)
    assert 0.1 <= time.monotonic() - began < 5


@pytest.mark.parametrize("outcome", [Killed(), Interrupted()])
def test_a_cancelled_attempt_ends_with_the_given_outcome(
    engine: Engine, tmp_path: Path, outcome: Outcome
) -> None:
    ended, spared = (
        shell(tmp_path, "echo up; sleep 60"),
        shell(tmp_path, "sleep 0.3"),
    )
    engine.submit(ended)
    engine.submit(spared)
    ends: list[Ended] = []

    def is_up() -> bool:
        ends.extend(engine.poll())
        log = ended.directory / "log.txt"
        return log.exists() and bool(log_of(ended))

    eventually(is_up)
    for _ in range(1000):
        engine.cancel(ended.token, outcome)
    ends += next_ends(engine, 2 - len(ends))
    outcomes = {end.token: end.outcome for end in ends}
    assert outcomes == {ended.token: outcome, spared.token: Succeeded()}


def test_a_cancel_of_an_attempt_that_does_not_run_is_ignored(
    engine: Engine, tmp_path: Path
) -> None:
    wanted = shell(tmp_path, "true")
    carry_out(engine, [wanted])
    engine.cancel(wanted.token, Killed())
    engine.cancel(secrets.token_hex(16), Killed())
    following = shell(tmp_path, "true")
    assert carry_out(engine, [following])[following.token].outcome == Succeeded()


def test_leaving_the_engine_ends_what_runs(tmp_path: Path) -> None:
    for name in ("local", "plain"):
        make = MADE[name]
        wanted = shell(tmp_path, "echo $$; exec sleep 60")
        with make(1, tmp_path / "lock") as engine:
            engine.submit(wanted)
            log = wanted.directory / "log.txt"
            eventually(log.exists)
            pid = int(eventually(partial(log_of, wanted)))
        assert living([pid]) == []


def test_a_recorded_end_is_read_for_its_own_token_only(tmp_path: Path) -> None:
    wanted = shell(tmp_path, "exit 4")
    with LocalEngine(1, tmp_path / "lock") as engine:
        ended = carry_out(engine, [wanted])[wanted.token]
    assert recorded_end(wanted.directory, wanted.token) == ended
    assert recorded_end(wanted.directory, "another") is None
    status = wanted.directory / "status.json"
    assert Ended.from_json(json.loads(status.read_bytes())) == ended
    for damaged in (
        b"",
        b"[]",
        b'{"token": "' + wanted.token.encode() + b'"}',
        b"\xff",
    ):
        status.write_bytes(damaged)
        assert recorded_end(wanted.directory, wanted.token) is None
    status.unlink()
    assert recorded_end(wanted.directory, wanted.token) is None
