"""langchain-openai: ChatOpenAI and `abatch`, with its in-memory rate limiter.

The limiter is looked at every 10 ms instead of every 100, and holds one second.
"""

import asyncio

from job import MODEL, Job, job, messages, write
from langchain_core.messages import BaseMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_openai import ChatOpenAI


def limiter(task: Job) -> InMemoryRateLimiter | None:
    """Return its limiter; it knows requests only."""
    if not task.rpm:
        return None
    return InMemoryRateLimiter(
        requests_per_second=task.rpm / 60,
        check_every_n_seconds=0.01,
        max_bucket_size=task.rpm / 60,
    )


async def main(task: Job) -> None:
    """Ask everything in one batch call."""
    model = ChatOpenAI(
        model=MODEL, max_tokens=task.output_tokens, rate_limiter=limiter(task)
    )
    answers = await model.abatch(
        [messages(item) for item in task.items],
        config={"max_concurrency": task.in_flight},
        return_exceptions=True,
    )
    with task.out.open("w") as file:
        for item, answer in zip(task.items, answers, strict=True):
            is_answer = isinstance(answer, BaseMessage)
            write(file, item, str(answer.content) if is_answer else None)


if __name__ == "__main__":
    asyncio.run(main(job()))
