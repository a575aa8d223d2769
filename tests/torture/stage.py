"""A simulator with its ledger, a state folder, and commands that work on it."""

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.simulator import Simulator, launch
from torture.forking import Command, commanded, executed, forked

KEY = "sk-test-0123456789abcdef"
_POLL_S = 0.01


@dataclass
class Stage:
    """One simulator for any number of runs."""

    folder: Path
    simulator: Simulator
    ledger_path: Path
    state: Path
    seed: int
    commands: list[Command] = field(default_factory=list)
    """Those of which some process may be left."""
    count: int = 0
    """Of all commands."""

    @classmethod
    def opened(cls, folder: Path, scenario: str, seed: int) -> "Stage":
        """Have a simulator listen."""
        folder.mkdir(parents=True, exist_ok=True)
        ledger = folder / "ledger.jsonl"
        simulator = launch(scenario, ledger, seed)
        return cls(folder, simulator, ledger, folder / "state", seed)

    def items(self, name: str, count: int, **fields: Any) -> Path:
        """An items file."""
        path = self.folder / f"{name}.jsonl"
        lines = ({"id": f"i{n}", "text": f"text {n}", **fields} for n in range(count))
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    def environment(self) -> dict[str, str]:
        """What a command finds in its environment."""
        return {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": self.simulator.base_url,
            "XDG_STATE_HOME": str(self.folder / "xdg"),
            "NO_COLOR": "1",
        }

    def command(self, *words: object, anew: bool = False) -> Command:
        """Start a command; `anew` in a new program, not forked from this one."""
        texts = [*map(str, words), "--state-dir", str(self.state)]
        output = self.folder / f"said-{self.count}.txt"
        if not anew:
            return self.do(commanded(texts), output)
        return self._begun(executed(texts, self.folder, output, self.environment()))

    def do(self, work: Callable[[], int], output: Path | None = None) -> Command:
        """Do something of our own in a forked process."""
        output = output or self.folder / "did.txt"
        return self._begun(forked(work, self.folder, output, self.environment()))

    def _begun(self, command: Command) -> Command:
        """Note it, and forget those of which nothing is left."""
        self.commands = [
            known
            for known in self.commands
            if not (known.is_waited_for() and known.is_gone())
        ]
        self.commands.append(command)
        self.count += 1
        return command

    def run(self, *words: object) -> tuple[int, str]:
        """A command to its end: exit code and output."""
        command = self.command(*words)
        code = command.wait()
        return code, command.output

    def status(self, run: str) -> dict[str, Any]:
        """What `runner status --json` says."""
        code, output = self.run("status", run, "--json")
        assert code == 0, output
        told: dict[str, Any] = json.loads(output)
        return told

    def heard_usd(self, run: str) -> Decimal:
        """What the answers cost that the last heartbeat told of."""
        path = self.state / run / "heartbeat.json"
        beat = json.loads(path.read_bytes()) if path.exists() else {}
        return Decimal(beat.get("cost_usd") or 0)

    def scenario(self, **settings: object) -> None:
        """Change what the simulator does, from now on."""
        request = urllib.request.Request(
            f"{self.simulator.control_url}/scenario",
            data=json.dumps(settings).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    def in_flight(self) -> int:
        """Requests the server is working on."""
        with urllib.request.urlopen(f"{self.simulator.control_url}/stats") as reply:
            return int(json.load(reply)["open"])

    def wait_until_busy(self, command: Command, count: int, timeout_s: float) -> None:
        """Until so many requests are in flight, the command is over, or time is up."""
        deadline_s = time.monotonic() + timeout_s
        while (
            time.monotonic() < deadline_s
            and not command.is_over()
            and self.in_flight() < count
        ):
            time.sleep(_POLL_S)

    def wait_until_idle(self) -> None:
        """Until the server has nothing in flight: its ledger is complete then."""
        while self.in_flight():
            time.sleep(_POLL_S)

    def pause(self, seconds: float) -> None:
        """Let a random moment pass: what a torture is about."""
        time.sleep(seconds)

    def close(self) -> None:
        """End what is left, ours only."""
        for command in self.commands:
            command.kill_everything()
        self.simulator.stop()
