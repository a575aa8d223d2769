"""How fast can this machine ask at all? aiohttp, a semaphore, nothing kept safe.

No pacing, no retry: the floor under the other rows, only for servers without limits.
"""

import asyncio
import os
from typing import TextIO

import aiohttp
from job import MODEL, Job, job, messages, write


async def send(
    session: aiohttp.ClientSession, task: Job, items: list[dict[str, str]], file: TextIO
) -> None:
    """Take items until there are none."""
    while items:
        item = items.pop()
        body = {
            "model": MODEL,
            "messages": messages(item),
            "max_tokens": task.output_tokens,
        }
        async with session.post("chat/completions", json=body) as response:
            answer = await response.json()
        write(file, item, answer["choices"][0]["message"]["content"])


async def main(task: Job) -> None:
    """Ask everything through one session."""
    async with aiohttp.ClientSession(
        base_url=os.environ["OPENAI_BASE_URL"] + "/",
        headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
        connector=aiohttp.TCPConnector(limit=0),
    ) as session:
        left = list(reversed(task.items))
        with task.out.open("w") as file:
            lanes = (send(session, task, left, file) for _ in range(task.in_flight))
            await asyncio.gather(*lanes)


if __name__ == "__main__":
    asyncio.run(main(job()))
