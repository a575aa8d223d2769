"""What does the published price list say? genai_prices, asked with care.

A model's name alone is never priced: the base URL must be its provider's, or a
free local server that calls its model gpt-4o-mini would run up a bill.

Floor: doors and rules. Knows records; the only module that imports genai_prices.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices

STANDARD_TIERS = frozenset({"default", "auto", "standard", "on_demand"})
"""Without a surcharge or discount; `on_demand` is Groq's word."""

_INPUT_RATES = (
    "input_mtok",
    "cache_write_mtok",
    "cache_write_5m_mtok",
    "cache_write_1h_mtok",
)
_OUTPUT_RATES = ("output_mtok", "output_reasoning_mtok")
_UNBOUNDED_RATES = ("output_citation_mtok",)
"""Billed by a count that no limit in a request bounds."""
_HORIZON_HOURS = 72
"""From midnight UTC, how far a worst case looks: rates change by the hour
(DeepSeek) and from a date on; what is reserved now may be sent tomorrow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstRates:
    """The dearest rates that can apply, USD per million tokens."""

    input_usd: Decimal
    output_usd: Decimal
    request_usd: Decimal
    """Per request, whatever its tokens (Perplexity)."""
    window_tokens: int | None
    """The model's context window."""


@functools.cache
def library() -> ModuleType:
    """Import genai_prices: 0.2 s and 30 MB, so not before a price is asked for.

    `--help`, `status`, exports, simulated runs and runs whose models all have a
    `--price` never need it. A worker meets it at its first worst case, before
    its first send.
    """
    import genai_prices  # noqa: PLC0415 - see above

    return genai_prices


def version() -> str:
    """Return the list's version: its prices are in it."""
    return metadata.version("genai-prices")


def knows(model: str, *, base_url: str) -> bool:
    """Whether the list has this model of this provider."""
    return _calculated({}, model, base_url, datetime.now(tz=UTC), None) is not None


def price_of(
    counts: dict[str, int],
    models: Iterable[str],
    *,
    base_url: str,
    moment: datetime,
    tier: str | None,
) -> Decimal | None:
    """Price these counts for the first model the list knows; None: unknown."""
    for model in models:
        found = _calculated(counts, model, base_url, moment, tier)
        if found is not None:
            is_priced = _covers(found.model_price, counts) and _has_tier(found, tier)
            return found.total_price if is_priced else None
    return None


def worst_rates(
    model: str, *, base_url: str, tier: str | None, asked_tokens: int, today: date
) -> WorstRates | None:
    """Return the dearest rates for a prompt of at most `asked_tokens`."""
    coming = _coming(model, base_url, tier, today)
    if coming is None:
        return None
    return WorstRates(
        input_usd=_dearest(coming.prices, _INPUT_RATES, asked_tokens),
        output_usd=_dearest(coming.prices, _OUTPUT_RATES, asked_tokens),
        request_usd=_dearest(coming.prices, ("requests_kcount",), 0) / 1000,
        window_tokens=coming.window_tokens,
    )


def _calculated(
    counts: dict[str, int],
    model: str,
    base_url: str,
    moment: datetime,
    tier: str | None,
) -> "PriceCalculation | None":
    try:
        found: PriceCalculation = library().calc_price(
            library().Usage(**counts),
            model,
            provider_api_url=base_url,
            genai_request_timestamp=moment,
            price_context={"service_tier": tier} if tier else None,
        )
    except (LookupError, ValueError):
        # An unknown host or model; counts that contradict each other.
        return None
    return found


def _covers(price: "ModelPrice", counts: dict[str, int]) -> bool:
    """Whether all tokens have a rate; a model without any rate is listed as free."""
    rates = _rates(price)
    missing = [
        f"{side}_mtok"
        for side in ("input", "output")
        if counts.get(f"{side}_tokens") and f"{side}_mtok" not in rates
    ]
    return not rates or not missing


def _has_tier(found: "PriceCalculation", tier: str | None) -> bool:
    """Whether the list knows this tier; where not, it prices as usual, silently."""
    if tier is None or tier in STANDARD_TIERS:
        return True
    variants = found.model.price_variants or ()
    # Of a model borrowed from another provider (Azure's from OpenAI) the list
    # does not apply the tiers.
    is_own = any(found.model is model for model in found.provider.models)
    return is_own and any(v.when.get("service_tier") == tier for v in variants)


def _rates(price: "ModelPrice") -> "dict[str, Decimal | TieredPrices]":
    return {name: rate for name, rate in vars(price).items() if rate is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coming:
    """What a model costs from today until after tomorrow."""

    prices: list["ModelPrice"]
    window_tokens: int | None


@functools.lru_cache(maxsize=1024)
def _coming(model: str, base_url: str, tier: str | None, today: date) -> _Coming | None:
    midnight = datetime.combine(today, time(), tzinfo=UTC)
    found = [
        _calculated({}, model, base_url, midnight + timedelta(hours=hours), one)
        for hours in range(_HORIZON_HOURS)
        for one in (None, tier)
    ]
    known = [each for each in found if each is not None]
    prices: list[ModelPrice] = []
    for each in known:
        if each.model_price not in prices:
            prices.append(each.model_price)
    if not known or not _has_tier(known[0], tier) or not all(map(_is_bound, prices)):
        return None
    return _Coming(prices=prices, window_tokens=known[0].model.context_window)


def _is_bound(price: "ModelPrice") -> bool:
    """Whether tokens alone decide what a request costs."""
    rates = _rates(price)
    by_token = not rates or "input_mtok" in rates
    return by_token and not any(name in rates for name in _UNBOUNDED_RATES)


def _dearest(
    prices: Iterable["ModelPrice"], names: Iterable[str], asked_tokens: int
) -> Decimal:
    return max(
        (
            rate
            for price in prices
            for name in names
            for rate in _steps(_rates(price).get(name), asked_tokens)
        ),
        default=Decimal(0),
    )


def _steps(
    rate: "Decimal | TieredPrices | None", asked_tokens: int
) -> Iterator[Decimal]:
    """All rates a prompt of that many tokens, or fewer, can meet."""
    if rate is None:
        return
    if isinstance(rate, Decimal):
        yield rate
        return
    yield rate.base
    yield from (tier.price for tier in rate.tiers if tier.start < asked_tokens)
