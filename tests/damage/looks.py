"""A run as each command sees it: what must come out the same, or be refused."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_clock import FakeClock

from runner.api import Run
from runner.checkpoint.manifest import Manifest
from runner.session.exporting import export_run
from runner.session.verifying import verify_run
from runner.supervisor.heartbeat import read_status
from runner.supervisor.opened import OpenRun, holding

KEY = "sk-canary-0123456789"


def status(folder: Path) -> Any:
    """The numbers: a heartbeat that is lost takes only the state with it."""
    seen = read_status(folder).to_json()
    return {
        name: seen[name]
        for name in ("run", "items", "requests", "tokens", "cost_usd", "unpriced")
    }


def exported(folder: Path) -> Any:
    """The bytes of both files; lines of their items, one by one."""
    out = folder.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    export_run(folder, processed_path=out / "p.jsonl")
    return [p.read_bytes() for p in sorted(out.glob("*.jsonl"))]


def survey(folder: Path) -> Any:
    """What a resume would ask, and what it knows of it: nothing is sent."""
    with contextlib.ExitStack() as opened:
        manifest = opened.enter_context(holding(folder, FakeClock()))
        run = OpenRun(folder, manifest, manifest.config, KEY, FakeClock(), opened)
        taken = run.backlog.take(1_000_000)
        return [[a.row, a.history and a.history.to_json()] for a in taken]


def shown(folder: Path) -> Any:
    """Every seventh item with all its attempts, as received."""
    run = Run(folder)
    name = json.loads((folder / "manifest.json").read_bytes())["run"]
    stories = [run.show(f"{name}-{number}") for number in range(0, 40, 7)]
    return [dataclasses.asdict(story) for story in stories]


def unresolved(folder: Path) -> Any:
    """Requests that may be paid twice."""
    return Run(folder).unresolved()


def sound(folder: Path) -> bool:
    """What `verify` says."""
    return verify_run(folder).is_sound


LOOKS: dict[str, Callable[[Path], Any]] = {
    "status": status,
    "export": exported,
    "show": shown,
    "unresolved": unresolved,
    "survey": survey,
}
"""The last one takes rescued replies in; the others write nothing."""


def fits(folder: Path) -> bool:
    """Whether the manifest can be read at all."""
    Manifest.load(folder)
    return True
