"""A folder, a simulator with its ledger, and the commands as a user gives them."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.simulator import Simulator, launch, read_ledger

KEY = "sk-fuzz-0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where one search works."""

    folder: Path
    simulator: Simulator

    @property
    def state(self) -> Path:
        """The state folder of all runs here."""
        return self.folder / "state"

    def items(self, count: int, name: str) -> Path:
        """An items file with that many items."""
        path = self.folder / f"{name}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(
                f'{{"id": {n}, "text": "text {n}"}}\n' for n in range(count)
            )
        return path

    def command(self, *words: object) -> "subprocess.Popen[str]":
        """Start a runner command in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *map(str, words)],
            cwd=self.folder,
            env={
                **os.environ,
                "OPENAI_API_KEY": KEY,
                "OPENAI_BASE_URL": self.simulator.base_url,
                "XDG_STATE_HOME": str(self.folder / "xdg"),
                "NO_COLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def scenario(self, **settings: object) -> None:
        """Change what the simulator does, from now on."""
        request = urllib.request.Request(
            f"{self.simulator.control_url}/scenario",
            data=json.dumps(settings).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    def ledger(self) -> Iterator[dict[str, Any]]:
        """Every request the server saw, so far."""
        yield from map(dict, read_ledger(self.folder / "ledger.jsonl"))


@contextlib.contextmanager
def staged(scenario: str, seed: int) -> Iterator[Stage]:
    """A stage in a folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        with launch(scenario, folder / "ledger.jsonl", seed) as simulator:
            yield Stage(folder, simulator)


@contextlib.contextmanager
def reading(run_folder: Path) -> Iterator[RunReader]:
    """What a run has recorded."""
    manifest = Manifest.load(run_folder)
    reader = RunReader(run_folder, manifest.run_id, list(manifest.shards), live=True)
    try:
        yield reader
    finally:
        reader.close()
