"""What the library takes and gives besides a RunConfig.

Floor: what the library returns. Knows checkpoint's entries, config, records, summary.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.checkpoint.entries import Attempt
from runner.config import (
    CallSeconds,
    Items,
    NightSeconds,
    PerMinute,
    Price,
    RuleNames,
    Size,
    Text,
    Threads,
    Tries,
    Usd,
    Words,
    Workers,
)
from runner.records import Endpoint, JsonObject, JsonScalar, OutcomeState
from runner.run_status import RunStatus, Stop
from runner.summary import Summary

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a resume is told anew; None (or empty) is "as before".

    How fast and how long may always change. What is asked, and of whom, only with
    `accept_changes`: answers given before stay as they are.
    """

    rpm: PerMinute | None = None
    tpm: PerMinute | None = None
    workers: Workers | None = None
    threads: Threads | None = None
    max_requests: Tries | None = None
    timeout_s: CallSeconds | None = None
    max_cost_usd: Usd | None = None
    give_up_after_s: NightSeconds | None = None
    min_free_bytes: Size | None = None
    limit: Items | None = None
    """Never kept: a resume goes on to the whole file unless it is given again."""
    items_path: Path | None = None
    """Where the items are by now, if their file was moved."""
    processed_path: Path | None = None
    """Where the answers go from now on; the other two files go beside them."""
    prompt: Text | None = None
    prompt_path: Path | None = None
    task_path: Path | None = None
    system: str | None = None
    schema_path: Path | None = None
    valid_regex: Text | None = None
    choices: Words = ()
    dropped_rules: RuleNames = ()
    """Rules that are no longer in force: `schema`, `valid_regex`, `choices`."""
    model: Text | None = None
    params: JsonObject = field(default_factory=dict)
    """Merged over the run's own."""
    endpoint: Endpoint | None = None
    reask_truncated: bool | None = None
    base_url: Text | None = None
    prices: dict[str, Price] = field(default_factory=dict)
    api_key_env: Text | None = None
    api_key_path: Path | None = None
    """Where the key is from now on; the key itself is stored nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a start would do; nothing is created and nothing sent."""

    items: int
    rejected: int
    copies: int = 0
    """Items without an id whose line stood there before: asked all the same."""
    first_request: JsonObject
    counted: int
    """Items that tokens and dollars are summed over: all, or the first `limit`."""
    input_tokens_estimate: int
    """Bytes / 3: a guess for pacing, often within a factor of two."""
    worst_usd: Decimal | None
    """Each of these asked once at its highest price; None: unknown or unbounded."""
    price_source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a session ended."""

    stop: Stop | None
    """Why it ended early; None: every item has an outcome."""
    status: RunStatus
    summary: Summary | None
    """Of the exported files; None when nothing was exported."""
    nothing_left: bool = False
    """Every item had its outcome before: nothing was sent, no session was noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """Requests that may have been billed without an answer."""

    count: int
    of_done: int = 0
    """Of them, those for items that have an outcome: a plain resume asks the others."""
    worst_usd: Decimal | None
    """Their highest price; None: unknown."""
    first_items: tuple[str, ...]
    """Ids of the first ten, safe to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStory:
    """All that is known of one item."""

    item_id: JsonScalar
    number: int
    line: int | None
    """None: no longer in the items file."""
    state: OutcomeState | None
    """None: pending."""
    reason: str | None
    attempts: tuple[tuple[Attempt, bytes], ...]
    """Each with the bytes received."""
    result: Any
    """What stands in the output; None while pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """What a new validity rule made of the stored answers."""

    judged: int
    changed_to_valid: int
    changed_to_invalid: int
    another_answer: int
    """Items as valid or invalid as before, by another of their stored answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One kind of damage in one file."""

    file: str
    """Below the run's folder."""
    what: str
    records: int
    """How many are affected."""
    items: tuple[int, ...]
    """The numbers of the first ten items, where they are known."""
    do: str
    """What to do next."""

    def to_json(self) -> JsonObject:
        """An element of `verify --json`."""
        return {
            "file": self.file,
            "what": self.what,
            "records": self.records,
            "items": list(self.items),
            "do": self.do,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What reading everything of a run has shown."""

    run: str
    attempts: int
    outcomes: int
    damage: tuple[Damage, ...]
    is_half_judged: bool = False
    """A rejudgement is not finished: no damage, but verdicts are those of two rules."""

    @property
    def is_sound(self) -> bool:
        """Whether everything is as it was written."""
        return not self.damage

    def to_json(self) -> JsonObject:
        """`verify --json`."""
        return {
            "run": self.run,
            "sound": self.is_sound,
            "attempts": self.attempts,
            "outcomes": self.outcomes,
            "damage": [each.to_json() for each in self.damage],
            "half_judged": self.is_half_judged,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """What was brought out of a damaged run into a new one."""

    run: str
    """The new run's name."""
    folder: Path
    processed_path: Path
    """Where an export of the new run goes: files of its own, the others beside it."""
    records: int
    """Attempts and outcomes that were readable."""
    lost: int
    """Records that are known to have been there, and are not readable."""
    may_be_more: bool
    """Nobody knows how many are lost in all."""
    held_back: int
    """Items that may have had an answer: asked only with `accept_changes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """A copy of a run, verified."""

    folder: Path
    attempts: int
    outcomes: int
    open: int
    """Requests that were under way: unresolved in the copy."""
