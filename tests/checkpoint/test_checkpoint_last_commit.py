"""A commit that was under way when its writer was killed: seen now, or never."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.checkpoint.last_commit import decide_last_commit
from runner.checkpoint.shard import create_shard, shard_folder
from runner.checkpoint.shard_reading import ShardReader
from runner.checkpoint.store import DATABASE
from runner.errors import StoreError

TESTS = Path(__file__).parents[1]
WRITER = """
import sys
from pathlib import Path
from checkpoint_builders import outcome
from runner.checkpoint.shard import Shard
shard = Shard(Path(sys.argv[1]), 1)
for number in range(2):
    shard.record_now(outcome(number), b"{}", None)
    print(number, flush=True)
    sys.stdin.readline()
"""


@contextlib.contextmanager
def killed_inside_a_commit(run_folder: Path) -> Iterator[ShardReader]:
    """Outcome 1 is whole in the -wal file, but not in its index; with a reader open."""
    create_shard(run_folder, "run-a", 1)
    path = [str(TESTS / "checkpoint"), str(TESTS.parent)]
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:0] = {path}\n{WRITER}",
            run_folder,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin
    assert writer.stdout
    with writer:
        assert writer.stdout.readline() == "0\n"
        reader = ShardReader(run_folder, 1, live=True)
        assert is_there(reader) == [True, False]
        shared = shard_folder(run_folder, 1) / f"{DATABASE}-shm"
        before = shared.read_bytes()
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "1\n"
        writer.kill()
    with shared.open("r+b") as stream:
        stream.write(before)
    assert is_there(reader) == [True, False]
    with contextlib.closing(reader):
        yield reader


def is_there(reader: ShardReader) -> list[bool]:
    """Whether each outcome is seen."""
    return [reader.outcome(number) is not None for number in range(2)]


def seen_by_another(run_folder: Path) -> list[bool]:
    """What a new reader sees; it must be a whole store."""
    with contextlib.closing(ShardReader(run_folder, 1, live=True)) as reader:
        reader.check_keys()
        assert reader.integrity_check() == []
        return is_there(reader)


def test_while_somebody_reads_it_such_a_commit_is_gone_for_good(tmp_path: Path) -> None:
    """It was never acknowledged; appearing later is what must not happen."""
    with killed_inside_a_commit(tmp_path) as reader:
        decide_last_commit(tmp_path, 1)
        assert is_there(reader) == [True, False]

    assert seen_by_another(tmp_path) == [True, False]


def test_with_nobody_reading_it_such_a_commit_is_kept(tmp_path: Path) -> None:
    """It may hold an answer that was paid for."""
    with killed_inside_a_commit(tmp_path) as reader:
        reader.close()
        decide_last_commit(tmp_path, 1)
        assert seen_by_another(tmp_path) == [True, True]


def test_a_missing_shard_does_not_come_into_being(tmp_path: Path) -> None:
    """It would look like one in which nothing has been done yet."""
    with pytest.raises(StoreError, match="takes nothing"):
        decide_last_commit(tmp_path, 1)

    assert not shard_folder(tmp_path, 1).exists()
