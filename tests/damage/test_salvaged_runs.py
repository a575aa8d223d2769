"""What a salvage leaves alone, whom it waits for, and what it says is lost."""

import contextlib
import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from damage.originals import Original, finished
from runner.api import Run
from runner.checkpoint.locks import Presence, RunLock
from runner.checkpoint.manifest import Manifest
from runner.cli import main
from runner.config import Output
from runner.errors import RunLocked
from runner.session.naming import output_beside

SUFFIXES = ("_processed.jsonl", "_failed.jsonl", "_summary.json")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def broken(home: Path) -> Original:
    """A run with two records that cannot be read, and two that vanished."""
    run = finished(home)
    lose_records(run)
    return run


def lose_records(run: Original) -> None:
    """Attempt and outcome of two items."""
    with contextlib.closing(sqlite3.connect(run.folder / "shard-01/cache.db")) as it:
        it.execute("UPDATE Cache SET value = x'00' WHERE key LIKE '_/0000000008%'")
        it.execute("DELETE FROM Cache WHERE key LIKE '_/0000000016%'")
        it.commit()


def contents(home: Path, stem: str) -> list[bytes]:
    """The three files."""
    return [(home / f"{stem}{suffix}").read_bytes() for suffix in SUFFIXES]


@pytest.mark.parametrize("which", ["processed", "batch"])
def test_the_printed_export_touches_no_file_of_the_damaged_run(
    home: Path, capfd: pytest.CaptureFixture[str], which: str
) -> None:
    """They may hold the only copy of answers; also where it was to overwrite."""
    run = finished(home)
    Run(run.folder).export()
    lose_records(run)
    before = contents(home, "finished")
    manifest = Manifest.load(run.folder)
    output = dataclasses.replace(manifest.config.output, overwrite=True)
    config = dataclasses.replace(manifest.config, output=output)
    dataclasses.replace(manifest, config=config).save(run.folder)

    more = ["--format", "batch"] if which == "batch" else []
    assert main(["salvage", "finished"]) == 0
    told = capfd.readouterr().out
    assert main(["export", "finished-salvaged", *more]) == 0
    assert main(["export", "finished-salvaged", *more]) == 0

    assert contents(home, "finished") == before
    assert str(home / "finished-salvaged_processed.jsonl") in told
    written = home / f"finished-salvaged_{which}.jsonl"
    assert written.stat().st_size > 1_000


def test_a_sound_run_hears_that_it_needs_no_salvage(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = finished(home)
    told = "finished has lost nothing and can go on"
    assert main(["salvage", "finished"]) == 0
    assert told in capfd.readouterr().out
    lose_records(run)
    assert main(["salvage", "finished"]) == 0
    assert told not in capfd.readouterr().out


def test_each_salvage_has_files_of_its_own(home: Path) -> None:
    run = broken(home)
    made = [Run(run.folder).salvage() for _ in range(2)]

    assert [each.run for each in made] == ["finished-salvaged", "finished-salvaged-2"]
    names = [each.processed_path.name for each in made]
    assert names == [f"{each.run}_processed.jsonl" for each in made]
    paths = [Run(each.folder).config.output.processed_path for each in made]
    assert paths == [each.processed_path for each in made]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ("out.jsonl", "out_failed.jsonl", "out_summary.json"),
            ("out-new.jsonl", "out-new_failed.jsonl", "out-new_summary.json"),
        ),
        (
            ("a_processed", "elsewhere/b", "c.d.json"),
            ("a-new_processed", "elsewhere/b-new", "c.d-new.json"),
        ),
        (
            ("x_processed.jsonl", "x_failed.jsonl", "x_summary.json"),
            ("x-new-2_processed.jsonl", "x-new-2_failed.jsonl", "x-new-2_summary.json"),
        ),
    ],
)
def test_files_beside_others_are_named_like_them(
    tmp_path: Path, names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """Whatever the user called them; where one name is taken, none of the set is."""
    (tmp_path / "x-new_failed.jsonl").touch()
    given = output_of(tmp_path, names)
    assert output_beside(tmp_path, given, "new") == output_of(tmp_path, expected)


def output_of(folder: Path, names: tuple[str, ...]) -> Output:
    """What `--out` or a program asked for."""
    processed, failed, summary = (folder / name for name in names)
    return Output(
        processed_path=processed,
        failed_path=failed,
        summary_path=summary,
        result_key="r",
    )


@pytest.mark.parametrize(
    "hold", [lambda folder: RunLock(folder, 1.0), Presence], ids=["session", "orphan"]
)
def test_a_run_that_still_records_is_not_salvaged(
    home: Path,
    hold: Callable[[Path], Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A session, or workers whose supervisor is dead: the copy would lack answers."""
    run = broken(home)
    held = hold(run.folder)
    assert main(["salvage", run.name]) == 5
    assert capfd.readouterr().err.count("\n") == 1
    held.release()
    assert main(["salvage", run.name]) == 0


def test_nobody_works_on_a_run_while_it_is_salvaged(home: Path) -> None:
    run = broken(home)
    refused = []

    def try_it(*_: object) -> None:
        with pytest.raises(RunLocked) as caught:
            RunLock(run.folder, 1.0)
        refused.append(caught.value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runner.session.salvaging._TOLD_EVERY", 1)
        Run(run.folder).salvage(on_progress=try_it)
    assert refused
    RunLock(run.folder, 1.0).release()


@pytest.mark.parametrize("name", ["run.lock", "presence.lock"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda _: None,
        lambda path: path.write_bytes(b"\xff\x00odd"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere/at/all"),
    ],
    ids=["missing", "odd", "folder", "link"],
)
def test_a_damaged_lock_is_in_nobodys_way(
    home: Path, name: str, damage: Callable[[Path], object]
) -> None:
    run = broken(home)
    (run.folder / name).unlink(missing_ok=True)
    damage(run.folder / name)
    assert main(["salvage", run.name]) == 0


def test_the_figures_told_are_those_of_the_lines(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two records have a line each, two have one together: nobody knows whose."""
    run = broken(home)
    made = Run(run.folder).salvage()
    lines = lines_of(made.folder)

    assert made.lost == sum(line.get("records", 0) for line in lines) == 4
    assert [line["item"] for line in lines if line.get("records")] == [8, 8, None]
    assert made.held_back == sum("held_back" in line for line in lines)
    assert not made.may_be_more
    assert main(["salvage", run.name]) == 0
    told = capfd.readouterr().out
    assert f" 4 lost; {made.held_back} items may have had an answer" in told


def test_where_nobody_knows_how_many_are_lost_that_is_said(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A shard that is gone took its totals with it."""
    run = broken(home)
    shutil.rmtree(run.folder / "shard-02")
    assert main(["salvage", run.name]) == 0
    assert " at least 4 lost;" in capfd.readouterr().out
    lines = lines_of(run.folder.with_name("finished-salvaged"))
    assert [line["records"] for line in lines if line.get("shard") == 2] == [None]


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """What `lost.jsonl` says."""
    return [
        json.loads(line)
        for line in (folder / "lost.jsonl").read_text().split("\n")[:-1]
    ]
