"""Workers die; the supervisor reads their shards and goes on."""

import contextlib
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from fake_clock import FakeClock
from scripted_engine import Script, ScriptedEngine

from runner.checkpoint.locks import Presence
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.recounting import recount
from runner.config import Pacing, RunConfig, Service, TaskSpec, default_output
from runner.errors import RunLocked, StateDamaged
from runner.limiter import Limiter
from runner.protocols import Said, WorkerSettings
from runner.records import JsonObject, OutcomeState
from runner.run_status import Pace, RunState, RunStatus, Stop, StopKind
from runner.session.starting import create_run
from runner.supervisor.loop import Supervisor
from runner.supervisor.opened import OpenRun, holding
from runner.supervisor.signals import Signals


@pytest.fixture
def run_folder(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A run of twelve items that never meets a server."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    return new_run(tmp_path, clock, Pacing(workers=2, threads=2, min_free_bytes=0))


def new_run(tmp_path: Path, clock: FakeClock, pacing: Pacing) -> Path:
    """A run of twelve items with that pacing."""
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"id": n}) + "\n" for n in range(12)))
    config = RunConfig(
        items_path=items,
        task=TaskSpec(prompt="{{id}}", model="gpt-4o-mini"),
        service=Service(scenario="latency=0"),
        pacing=pacing,
        output=replace(default_output(items), overwrite=True),
    )
    return create_run(
        config,
        name=None,
        state_dir=tmp_path / "state",
        new=True,
        clock=clock,
        on_progress=None,
    )


def supervise(
    folder: Path,
    clock: FakeClock,
    script: Script,
    statuses: list[RunStatus] | None = None,
) -> tuple[Stop | None, ScriptedEngine, Supervisor]:
    """Work on the run with scripted workers, as a session does."""
    engine = ScriptedEngine(script, clock)
    with contextlib.ExitStack() as opened:
        manifest = opened.enter_context(holding(folder, clock))
        run = OpenRun(folder, manifest, manifest.config, "key", clock, opened)
        run.decide_concurrency()
        told = [] if statuses is None else statuses
        supervisor = Supervisor(run, engine, clock, Signals(clock), told.append)
        stop = supervisor.work()
        run.mark(supervisor.totals_by_slot())
        engine.close()
    return stop, engine, supervisor


@contextlib.contextmanager
def reading(folder: Path, clock: FakeClock) -> Iterator[RunReader]:
    """The shards of a run."""
    with holding(folder, clock) as manifest:
        reader = RunReader(folder, manifest.run_id, list(manifest.shards), live=False)
        yield reader
        reader.close()


def states(folder: Path, clock: FakeClock) -> list[OutcomeState]:
    """The outcome of each item, in order."""
    with reading(folder, clock) as reader:
        return [outcome.state for outcome, _ in reader.outcomes()]


def test_without_trouble_every_item_is_asked_once(
    run_folder: Path, clock: FakeClock
) -> None:
    """The plain case."""
    stop, engine, supervisor = supervise(run_folder, clock, Script())

    assert stop is None
    assert supervisor.is_finished
    assert sorted(engine.asked) == list(range(12))
    assert states(run_folder, clock) == [OutcomeState.VALID] * 12


def test_a_worker_that_says_it_is_leaving_gets_no_more_items(
    run_folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have calls of ten minutes to wait for; the others are idle."""
    start, send = ScriptedEngine.start, ScriptedEngine.send
    given: list[int] = []

    def leaving(engine: ScriptedEngine, settings: WorkerSettings, key: str) -> None:
        start(engine, settings, key)
        if settings.slot == 1:
            engine._events.append(Said(1, {"is": "leaving"}))

    def noted(engine: ScriptedEngine, slot: int, order: JsonObject) -> None:
        given.extend([slot] * (order["do"] == "work"))
        send(engine, slot, order)

    monkeypatch.setattr(ScriptedEngine, "start", leaving)
    monkeypatch.setattr(ScriptedEngine, "send", noted)
    stop, _, supervisor = supervise(run_folder, clock, Script())

    assert stop is None
    assert supervisor.is_finished
    assert set(given) == {2}


def test_a_poison_item_is_failed_after_three_deaths_and_no_other_item_is(
    run_folder: Path, clock: FakeClock
) -> None:
    """The third time it is alone with its worker, so nobody else is to blame."""
    stop, engine, _ = supervise(run_folder, clock, Script(killers={5}))

    assert stop is None
    assert engine.asked.count(5) == 3
    found = states(run_folder, clock)
    assert found[5] is OutcomeState.FAILED
    assert found.count(OutcomeState.VALID) == 11
    assert (3, 1) in engine.started


def test_a_death_after_the_reply_was_recorded_buys_nothing_again(
    run_folder: Path, clock: FakeClock
) -> None:
    """The reply is handed on as not yet judged."""
    script = Script(killers={5}, settles_first=True)
    stop, engine, _ = supervise(run_folder, clock, script)

    assert stop is None
    assert engine.histories[5].unjudged is not None
    assert [row for row, _ in engine.sent].count(5) == 1


def test_an_outcome_that_a_dead_worker_did_not_tell_is_found_on_disk(
    run_folder: Path, clock: FakeClock
) -> None:
    """It is not asked for again."""
    stop, engine, _ = supervise(run_folder, clock, Script(untold={5, 8}))

    assert stop is None
    assert sorted(engine.asked) == list(range(12))
    assert states(run_folder, clock) == [OutcomeState.VALID] * 12


def test_an_outcome_whose_commit_was_half_seen_is_not_paid_for_again(
    run_folder: Path, clock: FakeClock
) -> None:
    """Nobody sees it while one connection is open; it would appear later."""
    stop, engine, supervisor = supervise(run_folder, clock, Script(half_seen={5}))

    assert stop is None
    assert sorted(engine.asked) == list(range(12))
    assert states(run_folder, clock) == [OutcomeState.VALID] * 12
    with reading(run_folder, clock) as reader:
        assert recount(reader) == supervisor.totals()


def test_a_session_beside_a_dead_ones_worker_is_refused(
    run_folder: Path, clock: FakeClock
) -> None:
    """It still records what is in flight; that would be asked again."""
    orphan = Presence(run_folder)

    with pytest.raises(RunLocked):
        supervise(run_folder, clock, Script())

    orphan.release()
    assert supervise(run_folder, clock, Script())[0] is None


@pytest.mark.parametrize("killer", [0, 5, 11])
def test_no_two_sends_ever_have_the_same_name(
    run_folder: Path, clock: FakeClock, killer: int
) -> None:
    """The attempt after a death is a new one, or the ledger could not be joined."""
    engine = supervise(run_folder, clock, Script(killers={killer}))[1]

    assert len(set(engine.sent)) == len(engine.sent)
    assert [a for row, a in engine.sent if row == killer] == [1, 2, 3]


@pytest.mark.parametrize("stage", ["before the send", "in the verdict"])
def test_an_item_that_kills_outside_its_request_is_found_as_well(
    run_folder: Path, clock: FakeClock, stage: str
) -> None:
    """It leaves no attempt, or one in another worker's shard; no endless crashes."""
    script = Script(killers={5}, kills_unbegun=stage == "before the send")
    script.settles_first = stage == "in the verdict"
    stop, engine, _ = supervise(run_folder, clock, script)

    found = states(run_folder, clock)
    assert stop is None
    assert found[5] is OutcomeState.FAILED
    assert found.count(OutcomeState.VALID) == 11
    assert len(engine.started) <= 12


@pytest.mark.parametrize("killer", range(12))
def test_an_item_that_kills_when_judged_is_found_among_others_at_work(
    run_folder: Path, clock: FakeClock, killer: int
) -> None:
    """Its reply lies in another worker's shard, theirs are begun where it kills."""
    script = Script(killers={killer}, settles_first=True, begins_at_once=True)
    engine = supervise(run_folder, clock, script)[1]

    found = states(run_folder, clock)
    assert engine.asked.count(killer) == 3
    assert found[killer] is OutcomeState.FAILED
    assert found.count(OutcomeState.VALID) == 11


@pytest.mark.parametrize("seed", range(12))
def test_whoever_kills_workers_from_outside_makes_no_item_fail(
    run_folder: Path, clock: FakeClock, seed: int
) -> None:
    """One of them every second; what kills by itself is failed all the same.

    The first deaths are in company: three deaths of one item, the last of them alone,
    prove something as long as no others are known.
    """
    draw = random.Random(seed)
    kills = itertools.count()

    def struck(slots: Sequence[int]) -> int | None:
        if draw.random() < 0.5:
            return None
        in_company = [slot for slot in slots if slot <= 2]
        among = in_company if next(kills) < 4 else slots
        return draw.choice(among) if among else None

    stop, _, _ = supervise(run_folder, clock, Script(killers={9}, struck=struck))

    found = states(run_folder, clock)
    assert stop is None
    assert found[9] is OutcomeState.FAILED
    assert found.count(OutcomeState.VALID) == 11


def test_a_shard_that_an_older_manifest_does_not_list_is_refused(
    run_folder: Path, clock: FakeClock
) -> None:
    """Taking it for new would pay for all of its answers again."""
    young = Manifest.load(run_folder)
    supervise(run_folder, clock, Script())
    young.save(run_folder)

    with pytest.raises(StateDamaged, match="does not list it"):
        supervise(run_folder, clock, Script())


def test_workers_that_die_before_they_are_ready_stop_the_run(
    run_folder: Path, clock: FakeClock
) -> None:
    """Five in a row: something is wrong with all of them."""
    stop, engine, _ = supervise(run_folder, clock, Script(never_ready=True))

    assert stop is not None
    assert stop.kind is StopKind.WORKERS
    assert 5 <= len(engine.started) <= 6


def test_workers_killed_while_they_start_do_not_stop_a_run_that_was_at_work(
    run_folder: Path, clock: FakeClock
) -> None:
    """A minute ago they could start: it is somebody outside, who may stop again."""
    script, polls = Script(), itertools.count()

    def struck(slots: Sequence[int]) -> int | None:
        script.never_ready = 2 <= next(polls) < 20
        return slots[0] if slots and script.never_ready else None

    script.struck = struck
    stop, engine, _ = supervise(run_folder, clock, script)

    assert stop is None
    assert len(engine.started) > 2 + 5
    assert states(run_folder, clock) == [OutcomeState.VALID] * 12


def test_what_is_recorded_is_never_handed_out_again(
    run_folder: Path, clock: FakeClock, tmp_path: Path
) -> None:
    """A second session asks only what is left."""
    limited = Pacing(workers=2, threads=2, min_free_bytes=0, limit=4)
    folder = new_run(tmp_path, clock, limited)
    first_stop, first, _ = supervise(folder, clock, Script())
    with holding(folder, clock) as manifest:
        pass
    assert first_stop is not None
    assert first_stop.kind is StopKind.LIMIT
    assert len(first.asked) == 4
    assert manifest.config.pacing.limit == 4

    done = set(first.asked)
    second = supervise(folder, clock, Script())[1]
    assert done.isdisjoint(second.asked)


def test_totals_on_disk_are_the_totals_told(run_folder: Path, clock: FakeClock) -> None:
    """Whatever died on the way."""
    statuses: list[RunStatus] = []
    supervise(run_folder, clock, Script(killers={3}), statuses)
    with reading(run_folder, clock) as reader:
        totals = reader.totals()

    assert totals.valid == 11
    assert totals.failed == 1
    assert totals.answers_usd == Decimal("0.011")
    assert (totals.open, totals.lost) == (1, 2)
    assert statuses[-1].totals.valid <= 11


@pytest.mark.parametrize("is_out", [True, False])
def test_while_nothing_answers_nobody_knows_how_long_it_takes(
    run_folder: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    is_out: bool,
) -> None:
    """The answers of the last minute promise what an outage cannot keep."""
    monkeypatch.setattr(Limiter, "pace", lambda _: Pace(is_out=is_out))
    statuses: list[RunStatus] = []
    supervise(run_folder, clock, Script(), statuses)

    assert is_out != any(status.eta_s for status in statuses)


def test_a_full_disk_stops_the_run_before_it_is_full(
    run_folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing new is sent once less than --min-free is left."""
    monkeypatch.setattr("runner.supervisor.loop.want_of_room", lambda *_: "no room")

    stop, engine, _ = supervise(run_folder, clock, Script())

    assert stop is not None
    assert stop.kind is StopKind.DISK
    assert engine.asked == []


def test_fifty_invalid_answers_at_first_stop_the_run(
    tmp_path: Path, clock: FakeClock, run_folder: Path
) -> None:
    """A wrong rule is seen in the first minute, with an example."""

    def says(_row: int) -> dict[str, object]:
        return {"verdicts": [[False, "not a colour"]] * 10}

    stop, _, _ = supervise(run_folder, clock, Script(says=says))

    assert stop is not None
    assert stop.kind is StopKind.VALIDATOR
    assert "not a colour" in stop.message


def test_a_run_that_is_finished_was_not_stopped_by_what_came_after(
    clock: FakeClock, run_folder: Path
) -> None:
    """A disk that fails under a worker with nothing left to do ends no run."""
    told = {"kind": "disk", "message": "cannot write rescue.bin", "hint": ""}
    last = set(range(12))

    def says(row: int) -> dict[str, object]:
        last.discard(row)
        return {"stops": [] if last else [told]}

    _, _, supervisor = supervise(run_folder, clock, Script(says=says))

    assert supervisor.is_finished
    assert supervisor.status(RunState.STOPPED).stopped_because == told["message"]
    assert supervisor.status(RunState.FINISHED).stopped_because is None
