"""Commands of runner in processes that cost no start-up: forked, not executed.

This process has everything imported, one thread and no file open, so that a command
forked from it begins as a new one would, half a second of imports later. Its workers
are forked from a second such process, made before the command opens anything. What
runs in them is the product as it is; `executed` starts the very same words the
ordinary way, and a share of every torture does that.
"""

import contextlib
import ctypes
import gc
import importlib
import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import runner
import runner.cli

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)
_POLL_S = 0.005
_LAST_DESCRIPTOR = 1024


@dataclass(frozen=True)
class Command:
    """A running command, the leader of a process group of its own."""

    pid: int
    output_path: Path

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self.output_path.read_text(errors="replace")

    def wait(self, timeout_s: float = 60) -> int:
        """Its exit code, -9 for SIGKILL; TimeoutError after `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{self.pid} still runs: {self.output[-2000:]}")
            time.sleep(_POLL_S)

    def is_over(self) -> bool:
        """Whether it has ended; it stays to be waited for."""
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found is not None

    def is_waited_for(self) -> bool:
        """Whether its exit code has been read; others of its group may be left."""
        try:
            self.is_over()
        except ChildProcessError:
            return True
        return False

    def kill_everything(self) -> None:
        """SIGKILL to all its processes at once; returns when the last is gone."""
        while not self.is_gone():
            os.killpg(self.pid, signal.SIGKILL)
            time.sleep(_POLL_S)

    def is_gone(self) -> bool:
        """Whether none of its processes is left; clears away those that ended.

        Orphans become ours (`prepare`), so what is left of the group is a child of
        ours. The kernel is not asked for the group itself: once it is gone, its
        number may be that of somebody else's.
        """
        try:
            while os.waitpid(-self.pid, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        return False


def prepare() -> None:
    """Import all there is, for what is forked to find.

    And become the parent of workers whose supervisor was killed, to see them end.
    """
    for module in pkgutil.walk_packages(runner.__path__, "runner."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_SUBREAPER, 1, 0, 0, 0) == 0
    gc.freeze()


def forked(
    work: Callable[[], int], folder: Path, output: Path, environment: dict[str, str]
) -> Command:
    """Do `work` in a new process; its result is the exit code."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return _led(pid, output)
    _begin(folder, output, environment)
    with contextlib.redirect_stderr(sys.stdout):
        code = _code_of(work)
    sys.stdout.flush()
    return os._exit(code)


def commanded(words: list[str]) -> Callable[[], int]:
    """The command line `words`, to be done in a forked process."""

    def work() -> int:
        _fork_workers()
        sys.argv = ["runner", *words]
        return runner.cli.main()

    return work


def executed(
    words: list[str], folder: Path, output: Path, environment: dict[str, str]
) -> Command:
    """`python -m runner words`, in a new program."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return _led(pid, output)
    _begin(folder, output, environment)
    return os.execv(sys.executable, [sys.executable, "-m", "runner", *words])


def _led(pid: int, output: Path) -> Command:
    """A command that has a process group, however early it is looked at."""
    with contextlib.suppress(PermissionError):  # it has executed: it did so itself
        os.setpgid(pid, pid)
    return Command(pid, output)


def _begin(folder: Path, output: Path, environment: dict[str, str]) -> None:
    os.setpgid(0, 0)
    null = os.open(os.devnull, os.O_RDONLY)
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor, standard in ((null, 0), (said, 1), (said, 2)):
        os.dup2(descriptor, standard)
    os.closerange(3, _LAST_DESCRIPTOR)
    os.chdir(folder)
    os.environ.update(environment)


def _fork_workers() -> None:
    """Have `multiprocessing` fork its server from this process, before all else."""

    def fork(_path: Any, words: list[Any], keep: Any) -> int:
        pid = os.fork()
        if pid == 0:
            for descriptor in set(range(3, _LAST_DESCRIPTOR)) - set(keep):
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            try:
                exec(words[-1], {})
            finally:
                os._exit(0)
        return pid

    forkserver.util.spawnv_passfds = fork  # type: ignore[attr-defined]
    forkserver.ensure_running()
    context = multiprocessing.get_context("forkserver")
    multiprocessing.get_context = lambda _method=None: context  # type: ignore[assignment]


def _code_of(work: Callable[[], int]) -> int:
    try:
        return work()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told, and the exit code of a bug
        sys.excepthook(*sys.exc_info())
        return 1
