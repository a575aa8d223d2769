"""Writing never depends on somebody reading."""

import io
import os
import sys
from pathlib import Path

import pytest

from runner.display.outlet import outlet


def test_a_pipe_nobody_reads_makes_us_silent() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        out = outlet(stream)
        out.write("first\n")
        assert b"first\n" == os.read(reading, 100)
        os.close(reading)
        out.write("second\n")
        out.flush()


def test_what_was_written_has_left_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream:
        outlet(stream).write("a line\n")
        assert "a line\n" == path.read_text()


def test_our_lines_come_after_those_written_before(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream:
        stream.write("before\n")
        outlet(stream).write("after\n")
    assert "before\nafter\n" == path.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_makes_us_silent() -> None:
    with open("/dev/full", "w") as stream:  # noqa: PTH123 - a device, not a path of ours
        assert outlet(stream).write("a line\n") == len("a line\n")


def test_a_full_pipe_that_was_made_non_blocking_is_waited_for_a_moment_only() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(writing, "w") as stream:
        out = outlet(stream)
        out.write("x" * 1_000_000)
        assert b"x" * 100 == os.read(reading, 100)
    os.close(reading)


def test_the_stream_itself_stays_open() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        out = outlet(stream)
        out.close()
        stream.write("still here\n")
    assert b"still here\n" == os.read(reading, 100)
    os.close(reading)


def test_a_stream_closed_before_we_started_is_silence() -> None:
    outlet(None).write("nobody\n")


def test_a_stream_without_a_descriptor_is_used_as_it_is() -> None:
    stream = io.StringIO()
    outlet(stream).write("a line\n")
    assert "a line\n" == stream.getvalue()


def test_a_character_the_terminal_lacks_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as stream:
        outlet(stream).write("Übung ━━ 日本\n")
    assert "\\xdcbung" in path.read_text()


def test_a_file_is_no_terminal() -> None:
    with Path(os.devnull).open("w") as stream:
        assert not outlet(stream).isatty()
    assert sys.stdout is not None
