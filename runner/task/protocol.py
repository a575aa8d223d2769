"""The seam: what a worker may ask of a task.

Owns the two questions and nothing else.

Floor: doors and rules.
"""

from typing import Protocol

from runner.records import Answer, Item, Request, Verdict


class Task(Protocol):
    """Asks and judges; safe to be called from many threads at once."""

    def request_for(self, item: Item) -> Request:
        """The request for this item.

        Raises:
            TaskError: naming the items file, the line and the id; for a task
                file also its own line and the exception.
        """
        ...

    def judge(self, item: Item, answer: Answer | None) -> Verdict:
        """Whether the answer is one the user can use; pure and repeatable.

        None is a body without any readable answer in it. Never raises: a rule
        that raises gives `valid=None`, "nobody knows".

        Its `response` is what `get_result` made of a valid answer, where the task
        file has it; else the answer as it came (a server's NaN or Infinity, which
        JSON lacks, becomes null).
        """
        ...
