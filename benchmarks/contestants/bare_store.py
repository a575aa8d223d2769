"""What do the SDK and a durable store cost together, and nothing else?

`bare_sdk` with three diskcache records an item, as a checkpoint needs them: that it is
about to be sent, the reply as received, the answer. The first two are synced to disk
before it goes on. One store a process, one thread that commits, all that has gathered
while it synced goes into the next commit. No pacing, no retry, nothing is ever read.
"""

import threading
from collections.abc import Callable
from pathlib import Path

import diskcache
import openai
from bare_sdk import Item, ask_part, main
from job import MODEL, Job, job, messages

NEVER = 2**62
FULL = 2


class Store:
    """Takes records from many threads, and syncs them group by group."""

    def __init__(self, folder: Path) -> None:
        """Open it in the thread that will write."""
        self._waiting: list[tuple[str, bytes, Callable[[], object]]] = []
        self._news = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._commit, args=(folder,))
        self._thread.start()

    def put(self, key: str, value: bytes, done: Callable[[], object]) -> None:
        """Hand over a record; `done` is called once it is on disk."""
        with self._news:
            self._waiting.append((key, value, done))
            self._news.notify()

    def put_and_wait(self, key: str, value: bytes) -> None:
        """Hand over a record and wait until it is on disk."""
        landed = threading.Event()
        self.put(key, value, landed.set)
        landed.wait()

    def close(self) -> None:
        """Sync what waits."""
        with self._news:
            self._is_over = True
            self._news.notify()
        self._thread.join()

    def _commit(self, folder: Path) -> None:
        cache = diskcache.Cache(
            str(folder),
            eviction_policy="none",
            cull_limit=0,
            size_limit=NEVER,
            disk_min_file_size=NEVER,
            sqlite_synchronous=FULL,
        )
        while True:
            with self._news:
                while not self._waiting and not self._is_over:
                    self._news.wait()
                group, self._waiting = self._waiting, []
            if not group:
                break
            with cache.transact():
                for key, value, _ in group:
                    cache.set(key, value)
            for _, _, done in group:
                done()
        cache.close()


def ask(
    sdk: openai.OpenAI, task: Job, items: list[Item], answers: list[Item], store: Store
) -> None:
    """Take items until there are none."""
    while True:
        try:
            item = items.pop()
        except IndexError:
            return
        answers.append({**item, "response": ask_one(sdk, task, item, store)})


def ask_one(sdk: openai.OpenAI, task: Job, item: Item, store: Store) -> str:
    """Have one item answered and recorded."""
    create = sdk.chat.completions.with_raw_response.create
    body = {"messages": messages(item), "max_tokens": task.output_tokens}
    store.put_and_wait(f"a:{item['id']}", b"about to be sent")
    raw = create(model=MODEL, messages=[], extra_body=body)
    store.put_and_wait(f"a:{item['id']}", raw.http_response.content)
    answer = raw.http_response.json()
    text: str = answer["choices"][0]["message"]["content"]
    store.put(f"o:{item['id']}", text.encode(), lambda: None)
    return text


def process(task: Job, part: int) -> None:
    """One process's part, with a store of its own."""
    store = Store(task.out.with_suffix(f".store-{part}"))
    ask_part(
        task, part, lambda sdk, left, answers: ask(sdk, task, left, answers, store)
    )
    store.close()


if __name__ == "__main__":
    main(job(), process)
