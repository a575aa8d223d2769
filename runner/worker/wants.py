"""What a run and its requests ask of the limiter.

Floor: the work. Turns config and requests into the limiter's own words.
"""

import hashlib
from decimal import Decimal
from pathlib import Path

from runner.config import Pacing
from runner.limiter import LimiterPlace, RunCeilings, Want
from runner.records import Request
from runner.run_folder import LIMITS

# Measured against o200k: 0.56 to 2.75 tokens per four bytes, depending on the text;
# bytes/3 is seldom too low, and the run learns its own ratio.
BYTES_PER_TOKEN = 3
# OpenAI's limiter counts characters, not tokens, when it admits (rate limits guide).
_CHARACTERS_PER_TOKEN = 4


def ceilings_of(pacing: Pacing) -> RunCeilings:
    """What the user allows this run."""
    return RunCeilings(
        rpm=pacing.rpm,
        tpm=pacing.tpm,
        max_cost_usd=pacing.max_cost_usd,
        give_up_after_s=pacing.give_up_after_s,
    )


def place_of(run_folder: Path, key_cell: Path, slot: int) -> LimiterPlace:
    """Which cells the process in `slot` of this run shares."""
    return LimiterPlace(key_cell=key_cell, run_cell=run_folder / LIMITS, slot=slot)


def digest_of(request: Request) -> str:
    """Which question this is: evidence beside its reply, never a key."""
    return hashlib.blake2b(request.content, digest_size=16).hexdigest()


def want_for(
    request: Request,
    *,
    number: int,
    worst_usd: Decimal | None,
    token_ratio: float,
    has_failed: bool = False,
) -> Want:
    """What one send of this request asks: charged as the provider does at admission.

    Args:
        request: What is to be sent.
        number: The item's number.
        worst_usd: The highest price it can have.
        token_ratio: Real input tokens for each estimated one, as learned so far.
        has_failed: In an earlier session the server failed at the item.
    """
    estimate = request.body_bytes // BYTES_PER_TOKEN + 1
    return Want(
        number=number,
        tokens=max(
            request.output_limit_tokens or 0,
            request.text_characters // _CHARACTERS_PER_TOKEN,
            round(estimate * token_ratio),
        ),
        input_tokens_estimate=estimate,
        worst_usd=worst_usd,
        has_failed=has_failed,
    )
