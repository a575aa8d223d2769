"""Every item's request, rendered once before anything is sent.

Finds what would go wrong at three in the morning: a missing field, a task file that
raises on item 7, a request without a bound under a dollar cap.

Floor: the run.
"""

import contextlib
from decimal import Decimal
from pathlib import Path

from runner.api_records import Progress
from runner.config import RunConfig
from runner.errors import UsageError
from runner.itemfile import ItemIndex, RejectedFile, Scan, scan
from runner.pricing import PriceBook
from runner.records import Item, Request
from runner.task import load_task, output_limit_name
from runner.wording import usd
from runner.worker.wants import BYTES_PER_TOKEN, want_for

READING = "reading items"


class Survey:
    """One pass over the items, with the task and the prices at hand."""

    def __init__(self, config: RunConfig) -> None:
        """Load task and prices; raises TaskError or UsageError."""
        self._config = config
        self._task = load_task(config.task, config.items_path)
        self.prices = PriceBook(config.service)
        self.first: Request | None = None
        self.counted = 0
        """Items that tokens and dollars are summed over: those within `--limit`."""
        self.input_tokens_estimate = 0
        self.worst_usd: Decimal | None = Decimal(0)
        self._least_usd: Decimal | None = None
        self._least_tokens: int | None = None

    def scan(
        self,
        *,
        rejected_path: Path | None = None,
        known: ItemIndex | None = None,
        on_progress: Progress | None = None,
    ) -> Scan:
        """Index the items and look at every request.

        Args:
            rejected_path: Where lines left out (`--on-bad-line skip`) are listed.
            known: The run's index so far: unchanged items keep their numbers.
            on_progress: Told how many bytes are read.
        """
        config = self._config
        with contextlib.ExitStack() as opened:
            sink = rejected_path and opened.enter_context(RejectedFile(rejected_path))
            return scan(
                config.items_path,
                id_field=config.id_field,
                result_key=config.output.result_key,
                on_bad_line=config.on_bad_line,
                check=self._look_at,
                on_progress=on_progress
                and (lambda done, total: on_progress(READING, done, total)),
                known=known,
                on_rejected=sink.write if sink else None,
            )

    def check_sendable(self) -> None:
        """UsageError if the user's own limits leave no request that may be sent.

        A single one that is too large is a matter of its item, and of the run.
        """
        pacing = self._config.pacing
        cap_usd, least_usd = pacing.max_cost_usd, self._least_usd
        if cap_usd is not None and least_usd is not None and least_usd > cap_usd:
            raise UsageError(
                f"each request may cost {usd(least_usd, is_bound=True)} or more, and"
                f" --max-cost is {usd(cap_usd)}",
                "give a higher --max-cost, or a lower limit of output tokens",
            )
        tpm, least_tokens = pacing.tpm, self._least_tokens
        if tpm is not None and least_tokens is not None and least_tokens > tpm:
            raise UsageError(
                f"each request needs {least_tokens:,} tokens at once or more, and"
                f" --tpm allows {tpm:,} a minute",
                "give a higher --tpm, or a lower limit of output tokens",
            )

    def _look_at(self, item: Item) -> None:
        request = self._task.request_for(item)
        self.first = self.first or request
        worst_usd = self.prices.worst_case_usd(request)
        if self._config.pacing.max_cost_usd is not None:
            self._check_bounded(item, request, worst_usd)
        self._note_least(request, worst_usd)
        limit = self._config.pacing.limit
        if limit is None or self.counted < limit:
            self._count(request, worst_usd)

    def _count(self, request: Request, worst_usd: Decimal | None) -> None:
        self.counted += 1
        self.input_tokens_estimate += request.body_bytes // BYTES_PER_TOKEN
        if self.worst_usd is not None:
            self.worst_usd = None if worst_usd is None else self.worst_usd + worst_usd

    def _note_least(self, request: Request, worst_usd: Decimal | None) -> None:
        want = want_for(request, number=0, worst_usd=worst_usd, token_ratio=1.0)
        self._least_tokens = min(want.tokens, self._least_tokens or want.tokens)
        if worst_usd is not None:
            least_usd = worst_usd if self._least_usd is None else self._least_usd
            self._least_usd = min(worst_usd, least_usd)

    def _check_bounded(
        self, item: Item, request: Request, worst_usd: Decimal | None
    ) -> None:
        where = f"{self._config.items_path}:{item.ref.line}"
        if not self.prices.knows(request.model):
            raise UsageError(
                f"--max-cost needs a price, and that of {request.model} is unknown",
                f"give it with --price {request.model}=INPUT,CACHED,OUTPUT"
                " (USD per million tokens)",
            )
        if request.output_limit_tokens is None:
            raise UsageError(
                "--max-cost needs a bound, and the request has no limit of output"
                f" tokens ({where})",
                self._how_to_bound(request),
            )
        if worst_usd is None:
            raise UsageError(
                "--max-cost needs a bound, and the request holds parts (images, files,"
                f" server tools) whose tokens cannot be bounded ({where})",
                "leave --max-cost out",
            )

    def _how_to_bound(self, request: Request) -> str:
        name = output_limit_name(request.endpoint)
        if self._config.task.batch:
            return f'set one in the body of each line, e.g. "{name}": 500'
        return f"set one, e.g. --param {name}=500"
