"""What `verify`, `backup` and `salvage` promise to the person who types them."""

import json
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_clock import FakeClock

from damage.looks import LOOKS, exported, survey
from damage.originals import Maker, Original, finished, killed
from runner.api import Run
from runner.checkpoint.locks import RunLock
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.shard import Shard
from runner.cli import main
from runner.errors import OutputError, RunChanged, StateDamaged
from runner.records import OutcomeState
from runner.run_status import RunState
from runner.session.working import Wishes, work


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(folder: Path, statement: str, *values: object) -> None:
    """Somebody edits a database."""
    database = sqlite3.connect(folder / "cache.db")
    database.execute(statement, values)
    database.commit()
    database.close()


def test_an_item_whose_outcome_vanished_is_not_asked_again(home: Path) -> None:
    """SQLite finds nothing wrong; the shard knows which keys it was given."""
    run = finished(home)
    change(run.folder / "shard-02", "DELETE FROM Cache WHERE key = 'o/0000000003'")

    with pytest.raises(StateDamaged, match="records, not the"):
        survey(run.folder)
    with pytest.raises(StateDamaged, match="records, not the"):
        exported(run.folder)


def test_a_key_that_became_another_items_is_noticed(home: Path) -> None:
    """The number of records is as before, and all checksums of those asked for."""
    run = killed(home)
    change(
        run.folder / "shard-01",
        "UPDATE Cache SET key = 'o/0000000040' WHERE key = 'o/0000000004'",
    )

    with pytest.raises(StateDamaged, match="records, not the"):
        survey(run.folder)


@pytest.mark.parametrize("name", ["manifest.json", "heartbeat.json"])
def test_an_altered_file_beside_the_shards_is_refused(home: Path, name: str) -> None:
    """Also where it is still JSON: a number in it became another one."""
    run = finished(home)
    path = run.folder / name
    text = path.read_text()
    assert '"run": "finished"' in text
    path.write_text(text.replace('"run": "finished"', '"run": "finishes"'))

    with pytest.raises(StateDamaged, match="checksum"):
        Run(run.folder).status()


def test_a_damaged_sign_of_life_is_no_damage_to_any_record(home: Path) -> None:
    """Nobody has to salvage a run for it."""
    run = finished(home)
    (run.folder / "heartbeat.json").write_text("{")

    (damage,) = Run(run.folder).verify().damage
    assert damage.file == "heartbeat.json"
    assert damage.do == "delete it: no number of the run depends on it"
    (run.folder / "heartbeat.json").unlink()
    assert Run(run.folder).verify().is_sound


def test_the_index_of_another_run_is_refused_by_everybody(home: Path) -> None:
    """It is a sound index, of as many items."""
    run, other = finished(home), killed(home)
    shutil.copy(other.folder / "items.index", run.folder)

    for name in ("export", "show", "survey"):
        with pytest.raises(StateDamaged, match="index of this run"):
            LOOKS[name](run.folder)


def test_less_than_at_the_last_sign_of_life_is_an_older_copy(home: Path) -> None:
    """Between two marks of the manifest, which are a minute apart."""
    run = killed(home)
    shutil.rmtree(run.folder / "shard-01")
    shutil.copytree(run.earlier / "shard-01", run.folder / "shard-01")

    for look in (LOOKS["status"], LOOKS["export"], LOOKS["survey"]):
        with pytest.raises(StateDamaged, match=r"was given .* records"):
            look(run.folder)


@pytest.mark.parametrize("make", [finished, killed])
def test_a_sound_run_is_called_sound(
    home: Path, make: Callable[[Path], Original], capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed is not damaged."""
    run = make(home)

    assert main(["verify", run.name, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["sound"] is True


def test_damage_is_named_by_file_item_and_what_to_do(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A line for each kind, exit 5."""
    run = finished(home)
    change(
        run.folder / "shard-01",
        "UPDATE Cache SET value = zeroblob(40) WHERE key = 'o/0000000006'",
    )

    assert main(["verify", run.name]) == 5
    said = capfd.readouterr().out
    assert "shard-01/cache.db: a record was not written by runner" in said
    assert "items number 6" in said
    assert "runner salvage" in said


def test_a_run_at_work_is_verified_and_backed_up(home: Path) -> None:
    """What is written meanwhile is no damage; open requests are unresolved there."""
    maker = Maker(home, "live")
    maker.work(range(8))
    maker.begin(8)

    found = Run(maker.folder).verify()
    made = Run(maker.folder).backup(home / "copy")
    maker.work(range(9, 12))
    maker.close()

    assert found.is_sound
    assert (made.open, made.outcomes) == (1, 8)
    restored = home / "state" / "restored"
    (home / "copy").rename(restored)
    status = Run(restored).status()
    assert (status.unresolved, status.totals.valid) == (1, 8)
    assert len(survey(restored)) == 40


def test_what_is_recorded_while_a_run_is_verified_is_not_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign of life tells of more than was there when the shards were looked at."""
    maker = Maker(home, "live")
    maker.work(range(4))
    real = RunReader.hold_still

    def held(reader: RunReader) -> None:
        real(reader)
        maker.work(range(4, 8))
        maker.beat(RunState.RUNNING)

    monkeypatch.setattr(RunReader, "hold_still", held)
    lock = RunLock(maker.folder, 1.0)
    assert Run(maker.folder).verify().damage == ()
    lock.release()
    maker.close()


def test_a_worker_that_starts_while_status_looks_is_no_damage(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest was read before it got its shard, the sign of life after."""
    maker = Maker(home, "live")
    lock = RunLock(maker.folder, 1.0)
    real, slots = Manifest.load, iter(range(3, 9))

    def loaded(folder: Path) -> Manifest:
        before = real(folder)
        slot = next(slots)
        before.with_shard(folder, slot)
        maker.shards[slot] = Shard(folder, slot)
        maker.shards[slot].note("s/000009", {})
        maker.beat(RunState.RUNNING)
        return before

    run = Run(maker.folder)
    monkeypatch.setattr(Manifest, "load", loaded)
    assert run.status().state is RunState.RUNNING
    lock.release()
    maker.close()


@pytest.mark.parametrize("make", [finished, killed])
def test_a_restored_backup_is_the_run_itself(
    home: Path, make: Callable[[Path], Original]
) -> None:
    """Every command sees in it what it saw."""
    run = make(home)
    looks = {name: look for name, look in LOOKS.items() if name != "survey"}
    before = {name: look(run.folder) for name, look in looks.items()}
    Run(run.folder).backup(home / "copy")
    modes = {
        stat.S_IMODE(path.stat().st_mode)
        for path in [home / "copy", *(home / "copy").rglob("*")]
    }
    shutil.rmtree(run.folder)
    (home / "copy").rename(run.folder)

    assert {name: look(run.folder) for name, look in looks.items()} == before
    assert modes <= {0o700, 0o600}


def test_a_backup_replaces_nothing_and_leaves_nothing_half_done(home: Path) -> None:
    """Neither a folder that is there, nor a copy of damage."""
    run = finished(home)
    (home / "there").mkdir()
    with pytest.raises(OutputError, match="exists"):
        Run(run.folder).backup(home / "there")
    with pytest.raises(OutputError, match=r"create it \(mkdir -p .*nowhere\)"):
        Run(run.folder).backup(home / "nowhere" / "copy")
    for place in (run.folder.with_name("copy"), run.folder / "shard-09"):
        with pytest.raises(OutputError, match="is inside the state folder"):
            Run(run.folder).backup(place)
    change(run.folder / "shard-02", "DELETE FROM Cache WHERE key = 'o/0000000003'")
    with pytest.raises(StateDamaged, match="not sound"):
        Run(run.folder).backup(home / "copy")

    assert not [path for path in home.iterdir() if "copy" in path.name]


def test_a_salvage_pays_for_nothing_again_without_consent(home: Path) -> None:
    """Where only the outcome is lost, the stored reply is judged again, for free."""
    run = finished(home)
    cost_usd = Run(run.folder).status().totals.cost_usd
    shard = run.folder / "shard-01"
    change(shard, "UPDATE Cache SET value = x'00' WHERE key = 'o/0000000006'")
    change(shard, "UPDATE Cache SET value = x'00' WHERE key LIKE '_/0000000008%'")

    made = Run(run.folder).salvage()
    with pytest.raises(
        RunChanged, match=r"1 item may have lost an answer .*pays again"
    ):
        work(
            made.folder,
            api_key="",
            wishes=Wishes(),
            clock=FakeClock(),
            on_status=lambda _: None,
            on_progress=None,
        )

    assert (made.run, made.held_back, made.lost) == ("finished-salvaged", 1, 3)
    asked = dict(survey(made.folder))
    assert asked.keys() == {6, 8}
    assert asked[6]["unjudged"] == (1, 1)
    again = Run(made.folder)
    assert again.status().totals.cost_usd == cost_usd
    assert again.verify().is_sound
    told = (made.folder / "lost.jsonl").read_text()
    assert '"held_back": 8' in told


def test_a_shard_that_is_gone_costs_only_its_own_records(home: Path) -> None:
    """What the others hold is exported; nobody knows what was in it, so all wait."""
    run = killed(home)
    shutil.rmtree(run.folder / "shard-02")
    made = Run(run.folder).salvage()
    states = Run(made.folder).status().totals

    assert states.valid > 5
    assert made.held_back == 48 - states.valid - states.failed - 3  # to be judged
    assert Manifest.load(made.folder).held_back
    assert OutcomeState.VALID == Run(made.folder).show("killed-6").state
