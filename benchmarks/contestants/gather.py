"""The loop of many articles: AsyncOpenAI, `asyncio.gather` over one batch at a time.

With a limit a batch is a minute's requests, and the rest of the minute is slept;
without one it is what may be in flight. A semaphore keeps the batch from flooding
the connection pool, which slows with all that wait in it. The SDK retries by itself.
`--aiohttp` has the SDK send through its own aiohttp client.
"""

import asyncio
import sys
import time

from job import MODEL, Job, job, messages, write
from openai import AsyncOpenAI, DefaultAioHttpClient, OpenAIError


async def ask(client: AsyncOpenAI, task: Job, item: dict[str, str]) -> str | None:
    """Return the answer's text; None: the SDK gave up."""
    try:
        answer = await client.chat.completions.create(
            model=MODEL, messages=messages(item), max_tokens=task.output_tokens
        )
    except OpenAIError:
        return None
    return answer.choices[0].message.content


async def main(task: Job, *, is_aiohttp: bool) -> None:
    """Ask batch after batch."""
    size = task.rpm or task.in_flight
    turn = asyncio.Semaphore(task.in_flight)
    client = AsyncOpenAI(http_client=DefaultAioHttpClient() if is_aiohttp else None)

    async def ask_in_turn(item: dict[str, str]) -> str | None:
        async with turn:
            return await ask(client, task, item)

    async with client:
        with task.out.open("w") as file:
            for first in range(0, len(task.items), size):
                started_s = time.monotonic()
                batch = task.items[first : first + size]
                answers = await asyncio.gather(*(ask_in_turn(item) for item in batch))
                for item, answer in zip(batch, answers, strict=True):
                    write(file, item, answer)
                if task.rpm and first + size < len(task.items):
                    await asyncio.sleep(started_s + 60 - time.monotonic())


if __name__ == "__main__":
    is_aiohttp = "--aiohttp" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--aiohttp"]
    asyncio.run(main(job(), is_aiohttp=is_aiohttp))
