"""Runs one command and says what it and all its descendants have used.

    python3 measured.py RESULT.json TIMEOUT_S COMMAND ...

A process of its own, so that nothing is counted but the command: it adopts whatever
the command's tree leaves behind (a child subreaper, prctl(2)), so each descendant is
waited for by its parent or by us, and RUSAGE_CHILDREN holds all of them.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
SAMPLE_S = 0.5
GRACE_S = 5.0
"""How long descendants may outlive the command before they are ended."""


def main(result: Path, timeout_s: float, command: list[str]) -> None:
    """Run `command` to its end; write its figures to `result`."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    over = threading.Event()
    peaks = {"pss_mb": 0.0, "processes": 0, "threads": 0}
    memory: list[tuple[float, float]] = []
    busy_s = _busy_s()
    started_unix_s, started_s = time.time(), time.monotonic()
    sampler = threading.Thread(target=_sample, args=(over, peaks, memory, started_s))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    sampler.start()
    code: int | None
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        code = None
    wall_s = time.monotonic() - started_s
    busy_s = _busy_s() - busy_s
    _end_descendants(0 if code is None else GRACE_S)
    over.set()
    sampler.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "started_unix_s": started_unix_s,
        "wall_s": wall_s,
        "exit_code": code,
        "user_s": used.ru_utime,
        "system_s": used.ru_stime,
        "others_s": busy_s
        - used.ru_utime
        - used.ru_stime
        - own.ru_utime
        - own.ru_stime,
        **peaks,
        "memory": memory,
    }
    result.write_text(json.dumps(figures))


def _busy_s() -> float:
    """Return the CPU seconds all of the machine has used, and those stolen from it."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _idle, _wait, *interrupts, steal = map(int, fields)
    return (user + nice + system + sum(interrupts) + steal) / os.sysconf("SC_CLK_TCK")


def _sample(
    over: threading.Event,
    peaks: dict[str, float],
    memory: list[tuple[float, float]],
    started_s: float,
) -> None:
    """Note the highest of each, and memory as pairs: seconds since the start, MB."""
    while not over.wait(SAMPLE_S):
        tree = _descendants()
        pss_mb = sum(map(_pss_mb, tree))
        memory.append((time.monotonic() - started_s, pss_mb))
        peaks["pss_mb"] = max(peaks["pss_mb"], pss_mb)
        peaks["processes"] = max(peaks["processes"], len(tree))
        peaks["threads"] = max(peaks["threads"], sum(map(_threads, tree)))


def _descendants() -> list[int]:
    """Return all processes below this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if parent := _parent(int(entry.name)):
            children.setdefault(parent, []).append(int(entry.name))
    found, fresh = [], [os.getpid()]
    while fresh:
        below = children.get(fresh.pop(), [])
        found += below
        fresh += below
    return found


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""  # it has ended since


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _threads(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[17]) if fields else 0


def _pss_mb(pid: int) -> float:
    """Return the memory of one process, what it shares divided by the sharers."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _end_descendants(grace_s: float) -> None:
    """Wait for what is left, end it after `grace_s`, and reap all of it."""
    deadline = time.monotonic() + grace_s
    while True:
        if time.monotonic() > deadline:
            for pid in _descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
