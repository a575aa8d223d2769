"""What has the user said a model costs? `--price MODEL=IN,CACHED,OUT`.

Floor: doors and rules. Knows config, records and errors.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

from runner.config import Price
from runner.errors import UsageError
from runner.records import Usage

PER_TOKENS = Decimal(1_000_000)
"""Prices are for a million tokens."""

_PRICE = re.compile(r"(.*\S)\s*=([^=,]*),([^=,]*),([^=,]*)")
"""A model's own name may hold an equals sign; the last one counts."""
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{0,12})?|\.[0-9]{1,12}")
"""Plain digits only: no sign, no NaN, no exponent; short enough that a product
with any count of tokens is exact in Decimal's 28 digits."""


def parse_price(text: str) -> tuple[str, Price]:
    """Read `--price MODEL=IN,CACHED,OUT`, in USD per million tokens.

    Raises:
        UsageError: It is not that, or an amount is not a plain number.
    """
    parts = _PRICE.fullmatch(text.strip())
    amounts = [amount.strip() for amount in parts.groups()[1:]] if parts else []
    if parts is None or not all(map(_AMOUNT.fullmatch, amounts)):
        raise UsageError(
            f"--price {text!r} is not MODEL=IN,CACHED,OUT",
            hint="USD per million tokens, all three: --price gpt-x=2.50,0.25,10",
        )
    asked, cached, output = map(Decimal, amounts)
    price = Price(input_usd=asked, cached_input_usd=cached, output_usd=output)
    return parts[1], price


def find_price(prices: Mapping[str, Price], *models: str | None) -> Price | None:
    """Return the price of the first of these models that has one.

    Exact names first, then names that differ in capitals only.
    """
    names = [model for model in models if model]
    for name in names:
        if name in prices:
            return prices[name]
    folded = {model.casefold(): price for model, price in prices.items()}
    found = (folded.get(name.casefold()) for name in names)
    return next((price for price in found if price is not None), None)


def cost_at(price: Price, usage: Usage) -> Decimal:
    """Return exactly what these tokens cost at this price."""
    fresh = usage.input_tokens - usage.cached_input_tokens
    return (
        fresh * price.input_usd
        + usage.cached_input_tokens * price.cached_input_usd
        + usage.output_tokens * price.output_usd
    ) / PER_TOKENS
