"""A key that must be nowhere, a server that gives it back, and a search for it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz.odd_responses import End, Odd
from fuzz.odd_server import OddServer

KEY = "cnry-7f3a9b2c5d8e1f4a6b9c"
"""Of no shape that a pattern knows."""


@dataclass(frozen=True)
class Told:
    """How a command ended, and whether a list of processes showed the key."""

    code: int
    output: str
    is_in_argv: bool


def command(folder: Path, *words: object, **environment: str) -> Told:
    """Run a command to its end, while the arguments of all processes are read."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *map(str, words)],
        cwd=folder,
        env={
            **os.environ,
            "OPENAI_API_KEY": KEY,
            "XDG_STATE_HOME": str(folder / "xdg"),
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen: list[bool] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(_shown(process.pid))
            time.sleep(0.02)

    looking = threading.Thread(target=look)
    looking.start()
    output, _ = process.communicate(timeout=120)
    over.set()
    looking.join()
    return Told(process.returncode, output, any(seen))


def start(folder: Path, url: str, *words: object, **environment: str) -> Told:
    """Start a run of three items there."""
    items = folder / "items.jsonl"
    items.write_text("".join(f'{{"id": {n}, "text": "t"}}\n' for n in range(3)))
    asked = () if "--task" in words else ("--prompt", "Say {{text}}")
    first = ("start", items, "--model", "m", "--base-url", url, *asked)
    sizes = ("--workers", 1, "--threads", 2, "--timeout", "2s", "--give-up-after", "1s")
    return command(folder, *first, *sizes, *words, **environment)


def holding(folder: Path) -> list[str]:
    """Files, by content or name, in which the key is."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if KEY in path.name or (path.is_file() and KEY.encode() in path.read_bytes())
    ]


def served(response: bytes, end: End = End.CLOSE) -> OddServer:
    """A server that answers everything so."""
    return OddServer(lambda _: Odd("echo", (response,), end))


def http(status: str, body: bytes, *fields: bytes) -> bytes:
    """A response with these header fields."""
    lines = [b"HTTP/1.1 " + status.encode(), b"content-length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


Serve = Callable[[bytes], OddServer]


def _shown(pid: int) -> bool:
    """Whether the arguments of a process, or of one below it, show the key."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return False  # it has ended
    return KEY.encode() in arguments or any(_shown(int(child)) for child in below)
