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
    """Whether it can be told a limit of requests."""
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    """What keeps it from asking hosts that are not there."""

    def requirements_file(self) -> Path | None:
        """Return the file with its pinned packages; None: it is this project."""
        return HERE / self.requirements if self.requirements else None


def _runner(stage: Stage, workload: Workload) -> list[str]:
    words = [str(stage.python), "-m", "runner", "start", str(stage.items), "--yes"]
    words += ["--model", "bench", "--base-url", stage.base_url]
    words += ["--prompt", "{{prompt}}", "--out", str(stage.out)]
    words += ["--param", f"max_tokens={workload.output_tokens}"]
    words += ["--state-dir", str(stage.folder / "state")]
    if workload.is_told:
        words += ["--workers", str(workload.workers)]
    if workload.runs > 1:
        several = [str(stage.python), str(HERE / "at_once.py"), str(workload.runs)]
        words = [*several, str(stage.items), str(stage.out), *words]
    if workload.rpm or workload.tpm:
        words += ["--rpm", str(workload.rpm)] if workload.rpm else []
        return words + (["--tpm", str(workload.tpm)] if workload.tpm else [])
    if not workload.is_told:
        return words
    threads = workload.in_flight // workload.workers
    return [*words, "--threads", str(threads)]


def _flexllm(stage: Stage, workload: Workload) -> list[str]:
    words = [str(stage.python.with_name("flexllm")), "batch", str(stage.items)]
    words += ["--output", str(stage.out), "--user-field", "prompt"]
    words += ["--model", "bench", "--base-url", stage.base_url, "--api-key", "sk-x"]
    words += ["--max-tokens", str(workload.output_tokens), "--no-cache"]
    words += ["--concurrency", str(workload.in_flight)]
    return words + (["--max-qps", str(workload.rpm / 60)] if workload.rpm else [])


def _batchllm(stage: Stage, workload: Workload) -> list[str]:
    words = [str(stage.python.with_name("batchllm")), "run", str(stage.items)]
    words += ["--output", str(stage.out), "--input-column", "prompt"]
    words += ["--model", "bench", "--base-url", stage.base_url]
    words += ["--max-tokens", str(workload.output_tokens)]
    words += ["--checkpoint", str(stage.folder / "checkpoint.jsonl")]
    return [*words, "--concurrent", str(workload.in_flight)]


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
        Contestant(
            name="bare-sdk",
            says="the SDK's synchronous client in threads and nothing else: a floor",
            command=_script("bare_sdk.py"),
            requirements="gather.txt",
            package="openai",
            is_paced=False,
        ),
        Contestant(
            name="bare-store",
            says="the same, with each reply synced to a diskcache store: both floors",
            command=_script("bare_store.py"),
            requirements="store.txt",
            package="openai",
            is_paced=False,
        ),
        Contestant(
            name="bare-careful",
            says="the same, one request a process until the first answer",
            command=_script("bare_careful.py"),
            requirements="store.txt",
            package="openai",
            is_paced=False,
        ),
        Contestant(
            name="async-batch-llm",
            says="its stream with its checkpoint",
            command=_script("async_batch.py"),
            requirements="async-batch-llm.txt",
            package="async-batch-llm",
        ),
        Contestant(
            name="flexllm",
            says="flexllm batch",
            command=_flexllm,
            requirements="flexllm.txt",
            package="flexllm",
        ),
        Contestant(
            name="batchllm",
            says="batchllm run with its checkpoint; has no pacing",
            command=_batchllm,
            requirements="batchllm.txt",
            package="batchllm-ai",
            is_paced=False,
        ),
        Contestant(
            name="langchain",
            says="ChatOpenAI.abatch with its rate limiter",
            command=_script("langchain_batch.py"),
            requirements="langchain.txt",
            package="langchain-openai",
        ),
        Contestant(
            name="litellm",
            says="acompletion under a semaphore; its limits refuse, they don't pace",
            command=_script("litellm_completion.py"),
            requirements="litellm.txt",
            package="litellm",
            is_paced=False,
            environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        ),
        Contestant(
            name="curator",
            says="curator.LLM online, its OpenAI backend",
            command=_script("curator_rows.py"),
            requirements="curator.txt",
            package="bespokelabs-curator",
            environment={
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "TELEMETRY_ENABLED": "false",
            },
        ),
        Contestant(
            name="inspect",
            says="inspect eval of a task that generates; has no pacing",
            command=_script("inspect_eval.py"),
            requirements="inspect.txt",
            package="inspect-ai",
            is_paced=False,
        ),
    )
}
