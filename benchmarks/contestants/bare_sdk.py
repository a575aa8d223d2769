"""How fast can the SDK's synchronous client ask at all? Threads, nothing kept safe.

Tuned as far as its own HTTP layer goes: raw replies, the body passed by, a connection
a thread, a longer switch interval, two processes. No pacing, no retry, no record.
"""

import multiprocessing
import os
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import openai
from job import MODEL, Job, job, messages, write

PROCESSES = 2
Item = dict[str, str]


def client(context: ssl.SSLContext) -> openai.OpenAI:
    """Return a client with a connection of its own."""
    http = openai.DefaultHttpxClient(verify=context)
    return openai.OpenAI(max_retries=0, timeout=60, http_client=http)


def ask(sdk: openai.OpenAI, task: Job, items: list[Item], answers: list[Item]) -> None:
    """Take items until there are none."""
    create = sdk.chat.completions.with_raw_response.create
    while True:
        try:
            item = items.pop()
        except IndexError:
            return
        body = {"messages": messages(item), "max_tokens": task.output_tokens}
        raw = create(model=MODEL, messages=[], extra_body=body)
        answer = raw.http_response.json()
        text = answer["choices"][0]["message"]["content"]
        answers.append({**item, "response": text})


def process(task: Job, part: int) -> None:
    """One process's part."""
    ask_part(task, part, lambda sdk, left, answers: ask(sdk, task, left, answers))


def ask_part(
    task: Job,
    part: int,
    asks: Callable[[openai.OpenAI, list[Item], list[Item]], None],
) -> None:
    """Have every second item asked, by half of the threads; write the answers."""
    sys.setswitchinterval(0.1)
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    left = list(reversed(task.items[part::PROCESSES]))
    answers: list[Item] = []
    threads = [
        threading.Thread(target=asks, args=(client(context), left, answers))
        for _ in range(task.in_flight // PROCESSES)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with part_of(task.out, part).open("w") as file:
        for item in answers:
            write(file, item, item["response"])


def part_of(out: Path, part: int) -> Path:
    """Return where one process writes."""
    return out.with_suffix(f".{part}")


def main(task: Job, process: Callable[[Job, int], None]) -> None:
    """Start the processes, and put what they wrote together."""
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(target=process, args=(task, part)) for part in range(PROCESSES)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    with task.out.open("w") as file:
        for part in range(PROCESSES):
            file.write(part_of(task.out, part).read_text())


if __name__ == "__main__":
    main(job(), process)
