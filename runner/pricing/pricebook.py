"""What does one answer cost, and one request at most?

Each answer is priced by itself (a long prompt has another rate for all its
tokens), at the tier the answer names. Never a float in a sum.

Floor: doors and rules. Knows its own room, config and records.
"""

import ipaddress
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from runner.config import Price, Service
from runner.pricing import genai
from runner.pricing.own import PER_TOKENS, cost_at, find_price
from runner.records import Answer, Endpoint, JsonObject, Request

_HIDDEN_TOKENS = 300
"""Tokens a server may add to what was sent: role marks, and a system prompt of
its own (that of gpt-oss has about 100)."""
_DETAILS = {
    # genai_prices' name: side, and the provider's name in `..._tokens_details`.
    "cache_write_tokens": ("input", "cache_write_tokens"),
    "input_audio_tokens": ("input", "audio_tokens"),
    "input_image_tokens": ("input", "image_tokens"),
    "output_audio_tokens": ("output", "audio_tokens"),
    "output_image_tokens": ("output", "image_tokens"),
}
_SIDES = {"input": ("prompt", "input"), "output": ("completion", "output")}
_SEARCHES = {
    "web_search_call": "web_searches",
    "file_search_call": "storage_searches",
}
"""Output items of the Responses API that are billed one by one."""
_UNPRICED_CALLS = frozenset({"code_interpreter_call", "image_generation_call"})
"""Those billed by session or picture: not to be priced from an answer."""
_EARLIEST_UNIX_S = 1_577_836_800
"""2020: an answer `created` before that was stamped by a broken clock."""


class PriceBook:
    """Prices of one service: the user's own first, then the published ones."""

    def __init__(self, service: Service) -> None:
        """Open the prices of a service."""
        self._base_url = service.base_url
        self._own = service.prices
        self._is_simulated = service.simulated
        host = urlsplit(service.base_url).hostname or ""
        self._is_listed = not service.simulated and _is_public_name(host)
        self._says_cost = host == "openrouter.ai" or host.endswith(".openrouter.ai")

    def cost_usd(
        self, endpoint: Endpoint, answer: Answer, requested_model: str
    ) -> Decimal | None:
        """Return the price of one answer; None: unknown.

        By the user's own price, by what OpenRouter says it took, by the list.
        """
        own = find_price(self._own, requested_model, answer.model)
        if own is not None:
            return None if answer.usage is None else cost_at(own, answer.usage)
        if not self._is_listed:
            return None
        said = _said_usd(answer.body) if self._says_cost else None
        if said is not None:
            return said
        counts = _counts(endpoint, answer)
        if counts is None:
            return None
        return genai.price_of(
            counts,
            _names(answer.model, requested_model),
            base_url=self._base_url,
            moment=_moment(answer.body),
            tier=_tier(answer.body),
        )

    def worst_case_usd(self, request: Request) -> Decimal | None:
        """Return at least what one send of this can cost; None: unknown, no bound.

        A token for each byte, at the dearest rates of the coming days: no cache
        discount, the surcharge for writing the cache, the long-prompt rate, the
        tier the body asks for. Without an output limit the context window is the
        bound. Not seen is a dearer tier that the project's settings choose.
        """
        if not request.is_bounded or _makes_media(request.body):
            return None
        asked = request.body_bytes + _HIDDEN_TOKENS
        rates = self._worst_rates(request, asked)
        if rates is None:
            return None
        answered = request.output_limit_tokens
        if answered is None:
            answered = rates.window_tokens
        if answered is None:
            return None
        answered *= _choices(request.body)
        tokens_usd = asked * rates.input_usd + answered * rates.output_usd
        return tokens_usd / PER_TOKENS + rates.request_usd

    def knows(self, model: str) -> bool:
        """Whether answers of this model will have a price."""
        if find_price(self._own, model) is not None:
            return True
        return self._is_listed and genai.knows(model, base_url=self._base_url)

    def describe(self) -> str:
        """Say where the prices come from, for the summary."""
        if self._is_simulated:
            return "simulated prices"
        listed = f"genai-prices {genai.version()}"
        own = ", ".join(f"--price {model}" for model in sorted(self._own))
        return f"{own}, otherwise {listed}" if own else listed

    def _worst_rates(self, request: Request, asked: int) -> genai.WorstRates | None:
        own = find_price(self._own, request.model)
        if own is not None:
            return self._own_worst(own, request.model)
        if not self._is_listed:
            return None
        return self._listed(request.model, _tier(request.body), asked)

    def _own_worst(self, own: Price, model: str) -> genai.WorstRates:
        # A model that is listed as well has a context window to go by.
        listed = self._listed(model, None, 0) if self._is_listed else None
        return genai.WorstRates(
            input_usd=max(own.input_usd, own.cached_input_usd),
            output_usd=own.output_usd,
            request_usd=Decimal(0),
            window_tokens=listed.window_tokens if listed else None,
        )

    def _listed(
        self, model: str, tier: str | None, asked: int
    ) -> genai.WorstRates | None:
        return genai.worst_rates(
            model,
            base_url=self._base_url,
            tier=tier,
            asked_tokens=asked,
            today=datetime.now(tz=UTC).date(),
        )


def _is_public_name(host: str) -> bool:
    """Whether a provider can be there: the list has them by their domains.

    Not at an address, nor under a name without a dot. The list is not even loaded
    for such a server: 0.15 s and 30 MB in each worker.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." in host
    return False


def _said_usd(body: JsonObject) -> Decimal | None:
    """Return what OpenRouter says it took: `usage.cost`, in dollars.

    With the user's own key at the upstream provider (`is_byok`) that is only the
    fee; the provider's part is beside it (openrouter.ai/docs, usage accounting).
    """
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    cost = _amount(usage.get("cost"))
    if cost is None or usage.get("is_byok") is not True:
        return cost
    details = usage.get("cost_details")
    if not isinstance(details, dict):
        return None
    upstream = _amount(details.get("upstream_inference_cost"))
    return None if upstream is None else cost + upstream


def _amount(value: Any) -> Decimal | None:
    """Return a JSON number as the decimal it was written as."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        is_amount = math.isfinite(value) and value >= 0
    except OverflowError:  # an integer of hundreds of digits
        return None
    return Decimal(repr(value)) if is_amount else None


def _counts(endpoint: Endpoint, answer: Answer) -> dict[str, int] | None:
    """Return what is billed in genai_prices' names; None: not all is countable."""
    usage = answer.usage
    calls = _calls(answer.body.get("output"))
    if usage is None or not _UNPRICED_CALLS.isdisjoint(calls):
        return None
    counts = {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cached_input_tokens,
        "output_tokens": 0 if endpoint is Endpoint.EMBEDDINGS else usage.output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        **{name: calls.count(call) for call, name in _SEARCHES.items()},
        **_details(answer.body.get("usage") or {}),
    }
    return {name: count for name, count in counts.items() if count}


def _calls(output: Any) -> list[str]:
    items = output if isinstance(output, list) else []
    return [str(item.get("type")) for item in items if isinstance(item, dict)]


def _details(usage: JsonObject) -> dict[str, int]:
    return {
        name: _detail(usage, side, provider_name)
        for name, (side, provider_name) in _DETAILS.items()
    }


def _detail(usage: JsonObject, side: str, name: str) -> int:
    for word in _SIDES[side]:
        details = usage.get(f"{word}_tokens_details")
        count = details.get(name) if isinstance(details, dict) else None
        if isinstance(count, int) and count > 0:
            return count
    return 0


def _names(*models: str | None) -> Iterable[str]:
    return dict.fromkeys(model for model in models if model)


def _moment(body: JsonObject) -> datetime:
    """Return when the answer was made, so that it has one price for ever."""
    now = datetime.now(tz=UTC)
    for stamp in (body.get("created"), body.get("created_at")):
        if not isinstance(stamp, int | float):
            continue
        if _EARLIEST_UNIX_S <= stamp <= now.timestamp():
            return datetime.fromtimestamp(stamp, tz=UTC)
    return now


def _tier(body: JsonObject) -> str | None:
    tier = body.get("service_tier")
    return tier if isinstance(tier, str) else None


def _makes_media(body: JsonObject) -> bool:
    """Whether it asks for sound or pictures, whose tokens have other rates."""
    modalities = body.get("modalities")
    return isinstance(modalities, list) and any(m != "text" for m in modalities)


def _choices(body: JsonObject) -> int:
    """How many texts it asks for: the output limit holds for each.

    `/completions` takes a list of prompts, of texts or of lists of tokens, and
    answers each (API reference, `prompt`, `n`, `best_of`).
    """
    wanted = [body.get(name) for name in ("n", "best_of")]
    each = max([1, *(math.ceil(n) for n in wanted if isinstance(n, int | float))])
    prompts = body.get("prompt")
    if not isinstance(prompts, list) or any(isinstance(p, int) for p in prompts):
        return each
    return each * max(1, len(prompts))
