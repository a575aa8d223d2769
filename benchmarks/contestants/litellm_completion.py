"""litellm: `acompletion` under a semaphore; its own batch call uses threads.

Its router refuses above a limit and doesn't wait, so it takes part without one.
"""

import asyncio
import os

import litellm
from job import MODEL, Job, job, messages, write


async def main(task: Job) -> None:
    """Ask everything at once, as many at a time as are allowed."""
    turn = asyncio.Semaphore(task.in_flight)

    async def ask(item: dict[str, str]) -> str | None:
        async with turn:
            try:
                answer = await litellm.acompletion(
                    model=f"openai/{MODEL}",
                    messages=messages(item),
                    max_tokens=task.output_tokens,
                    base_url=os.environ["OPENAI_BASE_URL"],
                    num_retries=2,
                )
            except litellm.exceptions.APIError:
                return None
        text: str | None = answer.choices[0].message.content
        return text

    answers = await asyncio.gather(*(ask(item) for item in task.items))
    with task.out.open("w") as file:
        for item, answer in zip(task.items, answers, strict=True):
            write(file, item, answer)


if __name__ == "__main__":
    asyncio.run(main(job()))
