"""A run as `start` left it, for a night to begin with."""

import dataclasses
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from runner.checkpoint.manifest import Manifest


class Paced(Protocol):
    """What is said of a run's speed."""

    @property
    def told_rpm(self) -> int | None:
        """Requests a minute; None: nothing is told."""

    @property
    def workers(self) -> int | None:
        """Processes."""

    @property
    def threads(self) -> int | None:
        """Callers in each."""

    @property
    def max_cost_usd(self) -> Decimal | None:
        """The cap."""


def prepared(template: Path, folder: Path, plan: Paced) -> Path:
    """A copy of the template, with this pacing."""
    run_folder = folder / "state" / "night"
    shutil.copytree(template, run_folder)
    manifest = Manifest.load(run_folder)
    pacing = dataclasses.replace(
        manifest.config.pacing,
        rpm=plan.told_rpm,
        workers=plan.workers,
        threads=plan.threads,
        max_cost_usd=plan.max_cost_usd,
        min_free_bytes=0,
        timeout_s=60.0,
    )
    output = dataclasses.replace(
        manifest.config.output,
        processed_path=folder / "processed.jsonl",
        failed_path=folder / "failed.jsonl",
        summary_path=folder / "summary.json",
    )
    config = dataclasses.replace(manifest.config, pacing=pacing, output=output)
    dataclasses.replace(manifest, config=config).save(run_folder)
    return run_folder
