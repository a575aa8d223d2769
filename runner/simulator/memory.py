"""What has this server seen of each prompt?

Owns the counts that chance is drawn with, the prompts marked as never answered
well, and the dollars billed. A simulator started on an old ledger remembers.

Floor: simulator. Knows ledger and faults.
"""

from decimal import Decimal
from pathlib import Path

from runner.simulator.faults import FAULTS
from runner.simulator.ledger import read_ledger
from runner.simulator.wire import JsonObject

ADMITTED = frozenset(FAULTS) | {"answer"}
"""Outcomes of requests that got past the key, the account and the limits."""

_EVERY = 3


class Memory:
    """Counts for each prompt, by its digest."""

    __slots__ = ("_answered", "_asked", "_marked", "billed_usd")

    def __init__(self) -> None:
        self._asked: dict[bytes, int] = {}
        self._answered: dict[bytes, int] = {}
        self._marked: set[bytes] = set()
        self.billed_usd = Decimal(0)

    def ask(self, prompt: bytes, mark_up_to: int) -> int:
        """Count one admitted request; how many came before it.

        Of the prompts seen first every third is marked, while fewer than `mark_up_to`
        are: a run whose first answers are all invalid would rightly be stopped.
        """
        before = self._asked.get(prompt, 0)
        self._asked[prompt] = before + 1
        is_third = not before and len(self._asked) % _EVERY == 1
        if is_third and len(self._marked) < mark_up_to:
            self._marked.add(prompt)
        return before

    def answer(self, prompt: bytes) -> int:
        """Count one generated answer; how many came before it."""
        before = self._answered.get(prompt, 0)
        self._answered[prompt] = before + 1
        return before

    def is_marked(self, prompt: bytes) -> bool:
        """Whether this prompt is never answered well."""
        return prompt in self._marked

    def recall(self, path: Path) -> None:
        """Remember what an earlier simulator wrote into the ledger.

        Raises:
            LedgerError: the file is not a ledger.
        """
        for line in read_ledger(path):
            self._recall(line)

    def _recall(self, line: JsonObject) -> None:
        if line["outcome"] not in ADMITTED or line["prompt_sha256"] is None:
            return
        prompt = bytes.fromhex(line["prompt_sha256"])
        self._asked[prompt] = self._asked.get(prompt, 0) + 1
        if line.get("marked"):
            self._marked.add(prompt)
        if line["billed"]:
            self._answered[prompt] = self._answered.get(prompt, 0) + 1
            self.billed_usd += Decimal(line["cost_usd"] or 0)
