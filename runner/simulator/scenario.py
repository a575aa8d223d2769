"""How does this server behave?

Owns every setting with its type, default and one line of help. How they are
written and read is `scenario_text`'s business.

Floor: simulator. Knows nobody.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal


@dataclass(frozen=True, slots=True)
class About:
    """The help line of a setting and the bounds of its value."""

    text: str
    low: float = 0.0
    high: float = math.inf


def _rate(text: str) -> About:
    return About(f"rate of {text}", 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All settings of one moment. Rates are per request, between 0 and 1."""

    latency: Annotated[float, About("median seconds until an answer")] = 0.3
    latency_spread: Annotated[
        float, About("sigma of the lognormal around it; 0: always the same", 0, 5)
    ] = 0.4
    latency_max: Annotated[float, About("seconds no answer takes longer than")] = 30.0

    answer: Annotated[
        str, About("every answer's text; `echo`: the last user message; empty: made up")
    ] = ""
    choices: Annotated[
        tuple[str, ...],
        About("a|b|c: answer with one of these; empty: as the prompt asks"),
    ] = ()
    words: Annotated[int, About("about how many words a made-up text has", 1)] = 12
    tool_calls: Annotated[
        float, _rate("tool calls where a request offers tools and may choose")
    ] = 0.0

    cached: Annotated[
        float, _rate("answers whose prompt was partly read from the cache")
    ] = 0.0
    cached_min: Annotated[
        int, About("tokens from which on a prompt can be cached", 1)
    ] = 1024
    reasoning: Annotated[int, About("median reasoning tokens of reasoning models")] = (
        128
    )

    invalid: Annotated[
        float, _rate("answers that break the schema or choices, or say INVALID ANSWER")
    ] = 0.0
    always_invalid: Annotated[
        int,
        About("how many prompts, every third at first, are never answered well"),
    ] = 0
    refusal: Annotated[float, _rate("refusals")] = 0.0
    truncated: Annotated[float, _rate("answers cut short (finish_reason length)")] = 0.0
    empty: Annotated[float, _rate("answers without content")] = 0.0
    content_filter: Annotated[float, _rate("answers withheld by a filter")] = 0.0
    surrogate: Annotated[float, _rate("answers that hold a lone surrogate")] = 0.0

    error_500: Annotated[float, _rate("500s")] = 0.0
    error_503: Annotated[float, _rate("503s")] = 0.0
    slow_down: Annotated[float, _rate("429s with code slow_down")] = 0.0
    overloaded: Annotated[float, _rate("503s with code server_is_overloaded")] = 0.0
    rate_limited_at_random: Annotated[float, _rate("429s that no limit explains")] = 0.0
    bad_request: Annotated[float, _rate("400s: context_length_exceeded")] = 0.0
    redirect: Annotated[float, _rate("307s to the same address")] = 0.0
    html: Annotated[float, _rate("200s with an HTML page")] = 0.0
    error_in_200: Annotated[float, _rate("200s with an error object")] = 0.0
    error_string: Annotated[float, _rate("500s whose error is a string")] = 0.0
    malformed: Annotated[float, _rate("200s with cut JSON; billed")] = 0.0
    reset: Annotated[float, _rate("TCP resets during the reply; billed")] = 0.0
    reset_after: Annotated[
        int, About("bytes of the reply, headers included, before a reset")
    ] = 200
    close_before_reply: Annotated[
        float, _rate("connections closed instead of a reply; billed")
    ] = 0.0
    trickle_body: Annotated[float, _rate("bodies byte by byte; billed")] = 0.0
    trickle_headers: Annotated[float, _rate("headers byte by byte; billed")] = 0.0
    trickle_every: Annotated[float, About("seconds between two such bytes")] = 0.1
    hang: Annotated[float, _rate("requests never answered; billed")] = 0.0

    no_usage: Annotated[float, _rate("answers without usage; billed")] = 0.0
    no_headers: Annotated[float, _rate("replies without rate-limit headers")] = 0.0

    match: Annotated[
        str, About("prompts that contain this always get `match_fault`")
    ] = ""
    match_fault: Annotated[
        str, About("a fault or kind of answer, such as error_500 or invalid")
    ] = "error_500"
    fail_first: Annotated[
        int, About("how many requests, the first ones, get `fail_first_fault`")
    ] = 0
    fail_first_fault: Annotated[str, About("the same words")] = "error_500"

    account: Annotated[
        Literal["ok", "empty", "spend_limit", "deactivated"],
        About("state of the account behind every key"),
    ] = "ok"
    credit_usd: Annotated[
        Decimal, About("prepaid dollars; once spent the account is empty; 0: no end")
    ] = Decimal(0)
    key: Annotated[str, About("the only key accepted; `any`: all, even none")] = "any"
    unknown_model: Annotated[
        tuple[str, ...], About("models answered with 404 model_not_found")
    ] = ()
    strict_models: Annotated[
        bool, About("404 for every model without a simulated price")
    ] = False
    context: Annotated[int, About("tokens a prompt may have; more is a 400", 1)] = (
        128_000
    )

    outage: Annotated[
        Literal["none", "500", "503", "refuse", "hang", "proxy_html"],
        About("what every request meets, until it is lifted"),
    ] = "none"
    proxy_status: Annotated[
        int, About("status of outage=proxy_html: 502, 403, 200 ...", 200, 599)
    ] = 502

    rpm: Annotated[int, About("requests per minute and model; 0: no limit")] = 0
    tpm: Annotated[int, About("tokens per minute and model; 0: no limit")] = 0
    rpd: Annotated[int, About("requests per day and model; 0: no limit")] = 0
    window: Annotated[
        Literal["sliding", "bucket"],
        About("sliding: strict in any 60 s; bucket: refilled evenly, allows a burst"),
    ] = "sliding"
    tpm_charge: Annotated[
        Literal["admission", "usage"],
        About("admission: max(output limit, characters/4), never given back"),
    ] = "admission"
    headers: Annotated[
        Literal["minute", "daily"], About("which request limit the headers show")
    ] = "minute"
    count_rejected: Annotated[
        bool, About("429s count against the request limits too")
    ] = False
    retry_after: Annotated[
        str, About("text of retry-after on every 429; empty: the true wait")
    ] = ""
    time_scale: Annotated[
        float, About("60: a limit's minute takes one second", 0.001)
    ] = 1.0
