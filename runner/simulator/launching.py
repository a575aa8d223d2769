"""How does a run get a simulator of its own?

Owns starting it as a separate process in a session of its own, so that no signal
to the run's process group, nor its terminal, reaches it.

Floor: simulator. Knows scenario_text; not aiohttp.
"""

import importlib.util
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.simulator.scenario_text import parse

_LOOK_S = 0.01
_STOP_S = 5.0


class LaunchError(Exception):
    """The simulator did not come up: one line saying why."""


class Simulator:
    """A running simulator. Use as a context manager, or call `stop`."""

    def __init__(
        self, process: subprocess.Popen[bytes], base_url: str, control_url: str
    ) -> None:
        self._process = process
        self.base_url = base_url
        """Where clients send requests, `/v1` included."""
        self.control_url = control_url
        """`GET /stats` and `POST /scenario` below it, on a port of their own."""

    @property
    def pid(self) -> int:
        """Its process, also its process group and session."""
        return self._process.pid

    def stop(self) -> None:
        """End it; open requests are cut. Calling it again does nothing."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def launch(
    scenario: str,
    ledger: Path,
    seed: int,
    *,
    parent: int | None = None,
    wait_s: float = 60.0,
) -> Simulator:
    """Start a simulator on a free loopback port and wait until it listens.

    Errors go to `<ledger>.log`. An existing ledger is read first and continued.
    It ends by itself 10 s after its last request once `parent` (this process) is
    gone.

    Raises:
        ScenarioError: a setting is unknown or impossible.
        LaunchError: it ended, or did not listen within `wait_s`.
    """
    parse(scenario)
    if importlib.util.find_spec("aiohttp") is None:
        raise LaunchError("the simulator needs aiohttp: pip install aiohttp")
    ledger = ledger.absolute()
    ledger.parent.mkdir(parents=True, exist_ok=True)
    ready = ledger.with_name(f"{ledger.name}.{uuid.uuid4().hex}.ready")
    log = ledger.with_name(f"{ledger.name}.log")
    process = _spawn(_command(ledger, seed, ready, parent or os.getpid()), log)
    try:
        _tell(process, scenario)
        base_url, control_url = _addresses(process, ready, log, wait_s)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        ready.unlink(missing_ok=True)
    return Simulator(process, base_url, control_url)


def _command(ledger: Path, seed: int, ready: Path, parent: int) -> list[str]:
    command = [sys.executable, "-m", "runner.simulator", "--scenario", "-"]
    command += ["--ledger", str(ledger), "--seed", str(seed)]
    return [*command, "--ready-file", str(ready), "--parent", str(parent)]


def _spawn(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 (our own module, no shell)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=fd,
            start_new_session=True,
        )
    finally:
        os.close(fd)


def _tell(process: "subprocess.Popen[bytes]", scenario: str) -> None:
    """Through a pipe: the expected key must not show in a list of processes."""
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            pipe.write(scenario.encode())
    except BrokenPipeError:
        return  # it has ended already; its log says why


def _addresses(
    process: "subprocess.Popen[bytes]", ready: Path, log: Path, wait_s: float
) -> tuple[str, str]:
    give_up_s = time.monotonic() + wait_s
    while not ready.exists():
        if process.poll() is not None:
            raise LaunchError(f"the simulator ended at once: {_last_line(log)}")
        if time.monotonic() > give_up_s:
            raise LaunchError(f"the simulator did not listen within {wait_s:g} s")
        time.sleep(_LOOK_S)
    base_url, control_url = ready.read_text().split()
    return base_url, control_url


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line), f"see {log}")
