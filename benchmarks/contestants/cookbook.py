"""The cookbook's approach to parallel requests: a paced loop over aiohttp.

One loop hands out requests while a bucket of requests and tokens has room, one task
each, failures into a queue, five tries, fifteen seconds' pause after a 429, a
millisecond's sleep a turn. Written anew after the idea of OpenAI's
`api_request_parallel_processor.py`; aiohttp's cap of 100 connections is lifted to
what may be in flight, and answers are appended to a file as they come.
"""

import asyncio
import os
import time
from collections import deque
from typing import TextIO

import aiohttp
from job import MODEL, Job, job, messages, write

TRIES = 5
PAUSE_S = 15.0
TURN_S = 0.001


class Processor:
    """State of one run: what is waiting, what is under way, what may be sent."""

    def __init__(self, task: Job, session: aiohttp.ClientSession, file: TextIO) -> None:
        self.task = task
        self.session = session
        self.file = file
        self.waiting = deque((item, TRIES) for item in task.items)
        self.under_way: set[asyncio.Task[None]] = set()
        self.requests = float(task.rpm)
        self.tokens = float(task.tpm)
        self.refilled_s = time.monotonic()
        self.refused_s = float("-inf")

    async def run(self) -> None:
        """Send all there is to send."""
        while self.waiting or self.under_way:
            if self.waiting and self.may_send(self.waiting[0][0]):
                item, tries = self.waiting.popleft()
                sending = asyncio.create_task(self.send(item, tries - 1))
                self.under_way.add(sending)
                sending.add_done_callback(self.under_way.discard)
            await asyncio.sleep(TURN_S)
            if (left_s := self.refused_s + PAUSE_S - time.monotonic()) > 0:
                await asyncio.sleep(left_s)

    def may_send(self, item: dict[str, str]) -> bool:
        """Take the item's share out of the buckets, if they hold it."""
        now_s = time.monotonic()
        minutes = (now_s - self.refilled_s) / 60
        self.refilled_s = now_s
        task = self.task
        self.requests = min(task.rpm, self.requests + task.rpm * minutes)
        self.tokens = min(task.tpm, self.tokens + task.tpm * minutes)
        cost = len(item["prompt"]) / 4 + task.output_tokens
        if (task.rpm and self.requests < 1) or (task.tpm and self.tokens < cost):
            return False
        self.requests -= 1
        self.tokens -= cost
        return True

    async def send(self, item: dict[str, str], tries: int) -> None:
        """Ask once; a failure waits for another try."""
        body = {
            "model": MODEL,
            "messages": messages(item),
            "max_tokens": self.task.output_tokens,
        }
        try:
            async with self.session.post("chat/completions", json=body) as response:
                answer = await response.json()
                if response.status == 429:  # noqa: PLR2004 (too many requests)
                    self.refused_s = time.monotonic()
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError):
            if tries:
                self.waiting.append((item, tries))
            else:
                write(self.file, item, None)
            return
        write(self.file, item, answer["choices"][0]["message"]["content"])


async def main(task: Job) -> None:
    """Ask everything through one session."""
    async with aiohttp.ClientSession(
        base_url=os.environ["OPENAI_BASE_URL"] + "/",
        headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
        connector=aiohttp.TCPConnector(limit=task.in_flight),
    ) as session:
        with task.out.open("w") as file:
            await Processor(task, session, file).run()


if __name__ == "__main__":
    asyncio.run(main(job()))
