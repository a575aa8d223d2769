"""One flipped bit in a -wal: SQLite drops all that came later, a salvage does not."""

import shutil
import struct
from pathlib import Path

import pytest

from damage.looks import exported, sound
from damage.originals import Maker, Original, killed
from runner.api import Run
from runner.checkpoint.anew import load_due
from runner.checkpoint.manifest import Manifest

HEADER, FRAME, PAGE = 32, 24, 4096


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Original:
    """A run as a kill left it: its answers are in -wal files."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    return killed(tmp_path)


def log_of(run: Original) -> Path:
    """Where half of the answers are."""
    return run.folder / "shard-01" / "cache.db-wal"


def frames(content: bytes | bytearray) -> list[tuple[int, int]]:
    """Where each frame begins, and its page's number."""
    starts = range(HEADER, len(content) - FRAME - PAGE + 1, FRAME + PAGE)
    return [(at, struct.unpack_from(">I", content, at)[0]) for at in starts]


def early(content: bytes | bytearray) -> int:
    """The start of a frame in the first half whose page was written again later."""
    found = frames(content)
    half = found[: len(found) // 2]
    again = {number for _, number in found[len(half) :]}
    return next(at for at, number in reversed(half) if number in again)


@pytest.mark.parametrize(
    "place",
    ["page", "end of page", "page number", "commit", "salt", "checksum"],
)
def test_a_flipped_bit_in_an_early_frame_costs_no_answer(
    run: Original, place: str
) -> None:
    """Whatever of the frame it is in; the frames behind it are intact."""
    expected, log = exported(run.folder), log_of(run)
    content = bytearray(log.read_bytes())
    assert len(frames(content)) > 40
    inside = {
        "page number": 3,
        "commit": 7,
        "salt": 9,
        "checksum": 17,
        "page": FRAME + 200,
        "end of page": FRAME + PAGE - 1,
    }
    content[early(content) + inside[place]] ^= 4
    log.write_bytes(content)

    made = Run(run.folder).salvage()

    assert exported(made.folder) == expected
    assert (made.lost, made.held_back, made.may_be_more) == (0, 0, False)
    assert sound(made.folder)


@pytest.mark.parametrize("at", [0, 9, 17, 25])
def test_a_flipped_bit_in_the_header_costs_no_answer(run: Original, at: int) -> None:
    """The kind of file, its pages' size, its salts, its checksum."""
    expected, log = exported(run.folder), log_of(run)
    content = bytearray(log.read_bytes())
    content[at] ^= 4
    log.write_bytes(content)
    assert exported(Run(run.folder).salvage().folder) == expected


def test_the_log_alone_still_has_its_answers(run: Original) -> None:
    """The database beside it is gone."""
    expected = exported(run.folder)
    (run.folder / "shard-01" / "cache.db").unlink()
    assert exported(Run(run.folder).salvage().folder) == expected


def test_what_was_never_committed_is_not_taken_for_a_record(run: Original) -> None:
    """A kill in the middle of a commit leaves frames that no reader ever sees."""
    expected, log = exported(run.folder), log_of(run)
    content = log.read_bytes()
    last, _ = frames(content)[-1]
    torn = bytearray(content[last:])
    struct.pack_into(">I", torn, 4, 0)
    log.write_bytes(content + torn)
    made = Run(run.folder).salvage()
    assert exported(made.folder) == expected
    assert (made.lost, made.held_back) == (0, 0)


def test_a_reply_whose_newest_version_is_lost_is_not_paid_for_again(
    tmp_path: Path,
) -> None:
    """The version before it, an open request, is still there, and looks newest."""
    maker = Maker(tmp_path, "night")
    maker.work(range(10))
    maker.settle(maker.begin(10))
    cost_usd = Run(maker.folder).status().totals.cost_usd
    frozen = tmp_path / "frozen"
    shutil.copytree(maker.folder, frozen)
    maker.close()
    shutil.rmtree(maker.folder)
    frozen.rename(maker.folder)
    log = maker.folder / "shard-01" / "cache.db-wal"
    content = bytearray(log.read_bytes())
    at = max(
        at for at, _ in frames(content) if is_leaf_with(content, at, b"a/0000000010/")
    )
    content[at + FRAME : at + FRAME + PAGE] = bytes(PAGE)
    log.write_bytes(content)

    made = Run(maker.folder).salvage()

    held = Manifest.load(made.folder).held_back
    assert load_due(made.folder, held).keys() == {10}
    totals = Run(made.folder).status().totals
    assert totals.cost_usd == cost_usd
    assert totals.open == 1
    assert sound(made.folder)


def is_leaf_with(content: bytes | bytearray, at: int, key: bytes) -> bool:
    """Whether the frame is a page of rows, that of the key among them."""
    page = content[at + FRAME : at + FRAME + PAGE]
    return page[:1] == b"\x0d" and key in page
