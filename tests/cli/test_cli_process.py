"""The command as a process: what it loads, and where its output goes."""

import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

RUNNER = [sys.executable, "-m", "runner"]
TOPS_OF_DISTRIBUTIONS = packages_distributions()
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error"}


def _loaded_by(arguments: list[str], cwd: Path) -> set[str]:
    """Top names of all modules a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "runner", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    lines = done.stderr.splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if "import time" in line}


def _packages_of(loaded: set[str]) -> set[str]:
    tops = {name.partition(".")[0] for name in loaded} & set(TOPS_OF_DISTRIBUTIONS)
    return {package for top in tops for package in TOPS_OF_DISTRIBUTIONS[top]}


def test_help_loads_no_package_but_the_command_lines_own(tmp_path: Path) -> None:
    """What makes `--help` quick, told without a clock: what it does not import."""
    loaded = _loaded_by(["--help"], tmp_path)

    at_every_start = {"setuptools"}  # hooks of an environment's .pth files
    command_line = {"typer", "annotated-doc", "shellingham"}
    assert _packages_of(loaded) - at_every_start == {"runner", *command_line}


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


def test_what_a_worker_starts_has_standard_streams_too(tmp_path: Path) -> None:
    """Closed for the main process they would be, in its children, files of the run."""
    script = (
        "import subprocess; from runner.__main__ import _occupy_standard_descriptors;"
        " _occupy_standard_descriptors();"
        " subprocess.run(['/bin/sh', '-c', 'echo 1; echo 2 >&2; touch all'])"
    )
    command = f'{sys.executable} -c "{script}" <&- >&- 2>&-'
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / "all").exists()


def test_ctrl_c_before_a_command_has_begun_is_no_traceback(tmp_path: Path) -> None:
    """A second's worth of imports."""
    script = (
        "import runner.__main__ as it, sys\n"
        "class Importing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'runner.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Importing())\n"
        "sys.exit(it.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=False
    )
    assert (130, b"interrupted\n") == (done.returncode, done.stderr)


def test_a_start_with_closed_streams_still_says_by_its_code_what_is_wrong(
    tmp_path: Path,
) -> None:
    command = f"{sys.executable} -m runner status nobody >&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=False)
    assert 5 == done.returncode
