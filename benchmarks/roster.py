"""Who takes part, in which environment, by which command?

Knows workloads.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from workloads import Workload

HERE = Path(__file__).parent / "contestants"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The paths and the server of one run of one contestant."""

    python: Path
    items: Path
    out: Path
    folder: Path
    base_url: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One row of the table. `package` is what its version is told of."""

    name: str
    says: str
    command: Callable[[Stage, Workload], list[str]]
    requirements: str | None
    package: str
    most_items: int = 1_000_000
    """More would take it too long; its row says so."""
    is_paced: bool = True
    """Whether it can be told a limit."""

    def requirements_file(self) -> Path | None:
        """Return the file with its pinned packages; None: it is this project."""
        return HERE / self.requirements if self.requirements else None


def _runner(stage: Stage, workload: Workload) -> list[str]:
    words = [str(stage.python), "-m", "runner", "start", str(stage.items), "--yes"]
    words += ["--model", "bench", "--base-url", stage.base_url]
    words += ["--prompt", "{{prompt}}", "--out", str(stage.out)]
    words += ["--param", f"max_tokens={workload.output_tokens}"]
    words += ["--state-dir", str(stage.folder / "state")]
    words += ["--workers", str(workload.workers)]
    if workload.rpm or workload.tpm:
        words += ["--rpm", str(workload.rpm)] if workload.rpm else []
        return words + (["--tpm", str(workload.tpm)] if workload.tpm else [])
    threads = workload.in_flight // workload.workers
    return [*words, "--threads", str(threads)]


def _script(name: str, *more: str) -> Callable[[Stage, Workload], list[str]]:
    def command(stage: Stage, workload: Workload) -> list[str]:
        words = [str(stage.python), str(HERE / name), str(stage.items), str(stage.out)]
        words += ["--in-flight", str(workload.in_flight)]
        words += ["--rpm", str(workload.rpm), "--tpm", str(workload.tpm)]
        return [*words, "--output-tokens", str(workload.output_tokens), *more]

    return command


ROSTER = {
    contestant.name: contestant
    for contestant in (
        Contestant(
            name="runner",
            says="this project: every answer synced to disk before it counts",
            command=_runner,
            requirements=None,
            package="openai",
        ),
        Contestant(
            name="gather",
            says="AsyncOpenAI, asyncio.gather per batch",
            command=_script("gather.py"),
            requirements="gather.txt",
            package="openai",
        ),
        Contestant(
            name="gather-aiohttp",
            says="the same, through the SDK's aiohttp client",
            command=_script("gather.py", "--aiohttp"),
            requirements="gather-aiohttp.txt",
            package="openai",
        ),
        Contestant(
            name="cookbook",
            says="paced loop over aiohttp, connection cap lifted",
            command=_script("cookbook.py"),
            requirements="aiohttp.txt",
            package="aiohttp",
        ),
        Contestant(
            name="bare",
            says="aiohttp and nothing else: the floor",
            command=_script("bare.py"),
            requirements="aiohttp.txt",
            package="aiohttp",
            is_paced=False,
        ),
    )
}
