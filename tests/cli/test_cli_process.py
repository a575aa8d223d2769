"""The command as a process: how fast it answers, and where its output goes."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = [sys.executable, "-m", "runner"]
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error"}


def _cpu_s(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*RUNNER, *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _loaded_by(arguments: list[str], cwd: Path) -> set[str]:
    """Top names of all modules a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "runner", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    lines = done.stderr.splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if "import time" in line}


def test_help_answers_within_0_3_s_of_cpu() -> None:
    assert min(_cpu_s(["--help"]) for _ in range(3)) <= 0.3


def test_help_and_status_load_neither_the_sdk_nor_what_they_do_not_need(
    tmp_path: Path,
) -> None:
    heavy = {
        "openai",
        "genai_prices",
        "jsonschema",
        "requests",
        "aiohttp",
        "runner.api",
    }
    for_help = _loaded_by(["start", "--help"], tmp_path)
    assert "typer" in for_help
    assert set() == for_help & (heavy | {"rich", "diskcache"})
    for_status = _loaded_by(["status", "--json"], tmp_path)
    assert "runner.supervisor.heartbeat" in for_status
    assert set() == for_status & (heavy | {"rich"})


def test_a_worker_that_imports_the_console_script_again_loads_no_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import runner.__main__"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "typer" not in done.stderr


def test_the_version_is_that_of_the_package() -> None:
    done = subprocess.run(
        [*RUNNER, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("runner ")


def test_a_reader_that_goes_away_is_no_failure() -> None:
    """`runner --help | head -1`, with the pipe closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [*RUNNER, "start", "--help"],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            check=False,
        )
    assert b"" == done.stderr
    assert done.returncode in (0, 1)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_failure(closed: str, tmp_path: Path) -> None:
    """Their numbers must not be given to a file of ours."""
    script = (
        "import os, sys; from runner.__main__ import _occupy_standard_descriptors;"
        " _occupy_standard_descriptors();"
        " json_file = os.open('probe', os.O_WRONLY | os.O_CREAT);"
        " os.write(json_file, b'%d' % json_file)"
    )
    command = f'{sys.executable} -c "{script}" {closed}'
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "probe").read_text()) > 2


def test_a_start_with_closed_streams_still_says_by_its_code_what_is_wrong(
    tmp_path: Path,
) -> None:
    command = f"{sys.executable} -m runner status nobody >&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=False)
    assert 5 == done.returncode
