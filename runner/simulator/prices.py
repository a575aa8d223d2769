"""What does an answer cost here?

Owns the simulator's own price table, which has nothing to do with the product's
price book: the ledger must be able to contradict it.

Floor: simulator, bottom. Knows nobody.
"""

from collections.abc import Mapping
from decimal import Decimal

PRICES: dict[str, tuple[Decimal, Decimal, Decimal]] = {
    model: (Decimal(fresh), Decimal(cached), Decimal(output))
    for model, fresh, cached, output in (
        ("gpt-4o-mini", "0.15", "0.075", "0.60"),
        ("gpt-4o", "2.50", "1.25", "10.00"),
        ("gpt-4.1", "2.00", "0.50", "8.00"),
        ("gpt-4.1-mini", "0.40", "0.10", "1.60"),
        ("gpt-4.1-nano", "0.10", "0.025", "0.40"),
        ("gpt-5", "1.25", "0.125", "10.00"),
        ("gpt-5-mini", "0.25", "0.025", "2.00"),
        ("gpt-5-nano", "0.05", "0.005", "0.40"),
        ("o4-mini", "1.10", "0.275", "4.40"),
        ("text-embedding-3-small", "0.02", "0.02", "0"),
        ("text-embedding-3-large", "0.13", "0.13", "0"),
    )
}
"""USD per million tokens: input, cached input, output.

OpenAI's list prices as genai-prices 0.2.3 gave them in November 2026.
"""

_MILLION = Decimal(1_000_000)


def cost_usd(model: str, usage: Mapping[str, int]) -> Decimal | None:
    """The exact price of one answer; None for a model without a price.

    `usage` counts as the ledger does: `cached_input_tokens` is part of
    `input_tokens`, `reasoning_tokens` part of `output_tokens`.
    """
    if model not in PRICES:
        return None
    fresh, cached, output = PRICES[model]
    from_cache = usage["cached_input_tokens"]
    return (
        (usage["input_tokens"] - from_cache) * fresh
        + from_cache * cached
        + usage["output_tokens"] * output
    ) / _MILLION


def prices_json(model: str) -> dict[str, str] | None:
    """The prices of one model, as the list of models shows them."""
    if model not in PRICES:
        return None
    fresh, cached, output = PRICES[model]
    return {"input": str(fresh), "cached_input": str(cached), "output": str(output)}


def is_reasoning(model: str) -> bool:
    """Whether a model thinks (and bills) before it writes."""
    return model.startswith(("o1", "o3", "o4", "gpt-5"))
