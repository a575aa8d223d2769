"""A place to run the product in: a simulator with its ledger, and the real commands.

The ledger is the ground truth about money. `Audit` joins it with the checkpoint,
item by item, through the client request id: two histories written by two programs.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.checkpoint.entries import Attempt, Outcome
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.recounting import recount
from runner.records import Totals
from runner.simulator import Simulator, launch, read_ledger

KEY = "sk-test-0123456789abcdef"
_POLL_S = 0.02


@dataclass
class Bench:
    """One simulator, one folder, any number of commands."""

    folder: Path
    simulator: Simulator
    ledger_path: Path
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """The state folder of all runs here."""
        return self.folder / "state"

    def items(self, count: int, name: str = "items", **fields: Any) -> Path:
        """An items file with that many items."""
        path = self.folder / f"{name}.jsonl"
        lines = ({"id": f"i{n}", "text": f"text {n}", **fields} for n in range(count))
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    def command(self, *words: object, **environment: str) -> "subprocess.Popen[str]":
        """Start a runner command in a process group of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", "runner", *map(str, words)],
            cwd=self.folder,
            env={
                **os.environ,
                "OPENAI_API_KEY": KEY,
                "OPENAI_BASE_URL": self.simulator.base_url,
                "XDG_STATE_HOME": str(self.folder / "xdg"),
                "NO_COLOR": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, *words: object, **environment: str) -> "Done":
        """Run a command to its end."""
        process = self.command(*words, **environment)
        output, _ = process.communicate(timeout=180)
        return Done(process.returncode, output)

    def start(self, items: Path, *words: object) -> "subprocess.Popen[str]":
        """Start a run: 2 workers with 8 threads unless told otherwise."""
        sizes = () if "--workers" in words else ("--workers", 2, "--threads", 8)
        asked = () if "--task" in words else ("--prompt", "Echo {{text}}")
        return self.command(
            "start", items, "--model", "gpt-4o-mini", *asked, *sizes, *words
        )

    def scenario(self, **settings: object) -> None:
        """Change what the simulator does, from now on."""
        request = urllib.request.Request(
            f"{self.simulator.control_url}/scenario",
            data=json.dumps(settings).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    def ledger(self) -> list[dict[str, Any]]:
        """Every request the server saw, so far."""
        return [dict(line) for line in read_ledger(self.ledger_path)]

    def wait_for_answers(self, count: int) -> None:
        """Until the server has generated that many answers."""
        wait_until(lambda: sum(line["billed"] for line in self.ledger()) >= count)

    def status(self, run: str = "items") -> dict[str, Any]:
        """What `runner status --json` says."""
        done = self.run("status", run, "--json")
        assert done.code == 0, done.output
        told: dict[str, Any] = json.loads(done.output)
        return told

    def in_flight(self) -> int:
        """Requests the server is working on."""
        with urllib.request.urlopen(f"{self.simulator.control_url}/stats") as reply:
            stats = json.load(reply)
        open_now: int = stats["open"]
        return open_now

    def audit(self, run: str = "items") -> "Audit":
        """Ledger and checkpoint side by side."""
        return Audit.of(self.state / run, self.ledger())

    def output(self, name: str = "items_processed.jsonl") -> list[dict[str, Any]]:
        """The lines of an exported file."""
        lines = (self.folder / name).read_text().splitlines()
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End what is left, ours only."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        self.simulator.stop()

    def books(self) -> Iterator[tuple[Totals, Totals]]:
        """Of every run here: the totals as kept, and as a recount finds them."""
        for manifest in self.state.glob("*/manifest.json"):
            reader = _reading(manifest.parent)
            yield reader.totals(), recount(reader)
            reader.close()


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    output: str


@dataclass(frozen=True)
class Audit:
    """What the server billed against what the checkpoint holds."""

    requests: dict[tuple[int, int], dict[str, Any]]
    """Item number and attempt → the server's line."""
    attempts: dict[tuple[int, int], Attempt]
    outcomes: dict[int, Outcome]
    duplicates: int
    """Requests that came under an id the server had seen before."""
    foreign: int

    @classmethod
    def of(cls, run_folder: Path, ledger: Iterable[dict[str, Any]]) -> "Audit":
        """Join both by client request id."""
        manifest = Manifest.load(run_folder)
        requests: dict[tuple[int, int], dict[str, Any]] = {}
        duplicates = foreign = 0
        for line in ledger:
            run_id, number, attempt = (line["client_request_id"] or "?-0-0").split("-")
            foreign += run_id != manifest.run_id
            key = (int(number), int(attempt))
            duplicates += key in requests
            requests[key] = line
        reader = _reading(run_folder)
        outcomes = {o.number: o for o, _ in reader.outcomes()}
        numbers = set(reader.numbers_attempted())
        attempts = {
            (n, attempt.attempt): attempt
            for n in numbers
            for attempt, _ in reader.attempts(n)
        }
        reader.close()
        return cls(requests, attempts, outcomes, duplicates, foreign)

    @property
    def billed(self) -> set[tuple[int, int]]:
        """Sends the server charges for."""
        return {key for key, line in self.requests.items() if line["billed"]}

    @property
    def recorded(self) -> set[tuple[int, int]]:
        """Sends whose answer is in the checkpoint."""
        return {key for key, attempt in self.attempts.items() if attempt.is_answer}

    @property
    def paid_twice(self) -> set[tuple[int, int]]:
        """Billed, but not recorded; or asked after the outcome was there."""
        late = {
            key
            for key in self.billed
            if key[0] in self.outcomes and key[1] > self.outcomes[key[0]].last_attempt
        }
        return (self.billed - self.recorded) | late

    @property
    def unknown(self) -> set[tuple[int, int]]:
        """Sends that no record announced: there must never be one."""
        return set(self.requests) - set(self.attempts)


def _reading(run_folder: Path) -> RunReader:
    manifest = Manifest.load(run_folder)
    return RunReader(run_folder, manifest.run_id, list(manifest.shards), live=True)


def started_bench(folder: Path, scenario: str) -> Bench:
    """A bench whose simulator listens."""
    ledger = folder / "ledger.jsonl"
    return Bench(folder, launch(scenario, ledger, 7), ledger)


def wait_until(is_true: Callable[[], bool], timeout_s: float = 60) -> None:
    """Look again and again; AssertionError when it stays false."""
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(_POLL_S)


def children_of(pid: int) -> list[int]:
    """The worker processes below a supervisor."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in listed
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
