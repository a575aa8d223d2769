"""What does the same cost that has one request under way until the first answer?

`bare_store`, but a process sends everything only once the server has answered it: a
wrong key or an empty account then costs two requests instead of a thousand.
"""

import threading
from collections.abc import Callable

import openai
from bare_sdk import Item, ask_part, main
from bare_store import Store, ask, ask_one
from job import Job, job


class FirstAnswer:
    """Lets one thread ask one item, and then everybody everything."""

    def __init__(self) -> None:
        self._is_taken = threading.Lock()
        self._has_come = threading.Event()

    def wait(self, have_one_answered: Callable[[], object]) -> None:
        """Wait for the first answer of this process, or get it."""
        if self._is_taken.acquire(blocking=False):
            have_one_answered()
            self._has_come.set()
        self._has_come.wait()


def process(task: Job, part: int) -> None:
    """One process's part, with a store of its own."""
    store, first = Store(task.out.with_suffix(f".store-{part}")), FirstAnswer()

    def asks(sdk: openai.OpenAI, left: list[Item], answers: list[Item]) -> None:
        def one() -> None:
            item = left.pop()
            answers.append({**item, "response": ask_one(sdk, task, item, store)})

        first.wait(one)
        ask(sdk, task, left, answers, store)

    ask_part(task, part, asks)
    store.close()


if __name__ == "__main__":
    main(job(), process)
