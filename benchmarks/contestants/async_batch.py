"""async-batch-llm: its stream over an OpenAI-compatible model, as its pages have it.

With its JSONL checkpoint, flushed for each record as it comes (its fsync is off by
default). Told a limit, it gets a burst of one second instead of a full minute, and a
cooldown of 5 s instead of 300.
"""

import asyncio
import os
from collections.abc import Iterator

from async_batch_llm import (
    ArtifactIdentity,
    CharacterTokenEstimator,
    JsonlArtifactStore,
    ProcessorConfig,
    llm,
    process_stream,
)
from async_batch_llm.core.config import RateLimitConfig
from job import MODEL, Job, job, write


def config(task: Job) -> ProcessorConfig:
    """Return its settings for this speed."""
    estimator = CharacterTokenEstimator(expected_output_tokens=task.output_tokens)
    return ProcessorConfig(
        concurrency=task.in_flight,
        max_queue_size=2 * task.in_flight,
        max_result_queue_size=task.in_flight,
        max_requests_per_minute=task.rpm or None,
        max_tokens_per_minute=task.tpm or None,
        token_estimator=estimator if task.tpm else None,
        quota_burst_seconds=1.0 if task.rpm or task.tpm else None,
        rate_limit=RateLimitConfig(cooldown_seconds=5.0),
    )


def prompts(task: Job) -> Iterator[tuple[str, str]]:
    """Each item's id and prompt."""
    return ((item["id"], item["prompt"]) for item in task.items)


async def main(task: Job) -> None:
    """Ask everything in one stream."""
    strategy = llm(
        f"openai-compatible:{MODEL}",
        base_url=os.environ["OPENAI_BASE_URL"],
        generation_config={"max_tokens": task.output_tokens},
    )
    store = JsonlArtifactStore(
        task.out.with_name("checkpoint.jsonl"),
        identity=ArtifactIdentity(provider="bench", model=MODEL),
    )
    stream = process_stream(
        strategy, prompts(task), config=config(task), artifact_store=store
    )
    with task.out.open("w") as file:
        async for result in stream:
            write(file, {"id": result.item_id}, result.output)


if __name__ == "__main__":
    asyncio.run(main(job()))
