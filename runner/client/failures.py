"""Why did a call give no answer? The table that decides.

By the provider's `error.code` or `error.type` first, then by HTTP status, then
by what broke on the way. The first row that fits decides. What follows from each
kind (again, wait, stop) is not decided here.

Floor: doors and rules. Knows error shapes and flights.
"""

import re
from dataclasses import dataclass

import httpx2

from runner.client.error_shapes import ErrorBody
from runner.client.flights import Cut, Flight, Phase
from runner.records import Failure, FailureKind

_DENIED = FailureKind.DENIED
_NOT_FOUND = FailureKind.NOT_FOUND
_REJECTED = FailureKind.REJECTED
_SERVER = FailureKind.SERVER
_CUT = FailureKind.CUT
_TIMEOUT = FailureKind.TIMEOUT
_NOT_SENT = FailureKind.NOT_SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: every condition that is given must hold."""

    kind: FailureKind
    says: str
    codes: frozenset[str] = frozenset()
    """Any of them as `error.code` or `error.type`."""
    statuses: frozenset[int] = frozenset()
    words: re.Pattern[str] | None = None
    """In the provider's message."""
    before_answers: bool = False
    """Only while nothing was answered yet."""
    provider_only: bool = False
    """Not when a proxy or captive portal may have sent it."""
    possibly_billed: bool = False

    def fits(self, status: int, error: ErrorBody, *, has_answers: bool) -> bool:
        """Whether all conditions hold."""
        return (
            (not self.codes or bool(self.codes & {error.code, error.type}))
            and (not self.statuses or status in self.statuses)
            and (self.words is None or bool(self.words.search(error.message)))
            and (error.is_provider or not self.provider_only)
            and not (has_answers and self.before_answers)
        )


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


def _statuses(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


_BY_CODE = (
    # developers.openai.com, guides/error-codes and rate-limits: all of them 429.
    Row(
        kind=_DENIED,
        says="the account is out of credit or at its spending limit",
        codes=_codes(
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            # LiteLLM's proxy (400, newer ones 429), Moonshot (429), DashScope (400).
            "budget_exceeded",
            "exceeded_current_quota_error",
            "Arrearage",
        ),
    ),
    # Anthropic's 400 `invalid_request_error`, LiteLLM's where it gives no code.
    Row(
        kind=_DENIED,
        says="the account is out of credit or at its spending limit",
        statuses=_statuses(400, 429),
        words=re.compile(
            r"^(your credit balance is too low|budget has been exceeded"
            r"|exceededbudget)",
            re.IGNORECASE,
        ),
    ),
    # Gemini's OpenAI endpoint: 400 INVALID_ARGUMENT.
    Row(
        kind=_DENIED,
        says="the server refuses the key",
        statuses=_statuses(400),
        words=re.compile(r"^api key (expired|not valid)", re.IGNORECASE),
    ),
    # "Request too large for gpt-4o ... on tokens per min (TPM)": OpenAI sends 429,
    # Groq 413, both with code rate_limit_exceeded. Waiting does not make it fit.
    Row(
        kind=_REJECTED,
        says="the request is larger than the limit on tokens per minute",
        statuses=_statuses(413, 429),
        words=re.compile(r"request too large", re.IGNORECASE),
    ),
    Row(
        kind=_NOT_FOUND,
        says="there is no such model for this key",
        codes=_codes("model_not_found"),
    ),
    Row(
        kind=_DENIED,
        says="the server refuses the key",
        codes=_codes("invalid_api_key", "account_deactivated"),
    ),
    # `slow_down` came as 503 and comes as 429 now; overload asks for the same.
    Row(
        kind=FailureKind.SLOW_DOWN,
        says="the server asks for less traffic",
        codes=_codes("slow_down", "server_is_overloaded", "overloaded_error"),
    ),
    Row(
        kind=FailureKind.THROTTLED,
        says="the rate limit is reached",
        codes=_codes("rate_limit_exceeded", "rate_limit_error"),
    ),
    # Azure's FAQ: a 400 by the content filter is charged.
    Row(
        kind=_REJECTED,
        says="the provider's filter refused the request",
        codes=_codes("content_filter", "content_policy_violation"),
        possibly_billed=True,
    ),
    Row(
        kind=_REJECTED,
        says="the server refuses the request",
        codes=_codes("context_length_exceeded", "invalid_prompt"),
    ),
)

_ELSEWHERE = frozenset(range(300, 400))

_BY_STATUS = (
    Row(
        kind=_NOT_FOUND,
        says="the server sends requests elsewhere; is the base URL right?",
        statuses=_ELSEWHERE,
        before_answers=True,
    ),
    # The base URL has answered: a balancer's or a login page's passing trouble.
    Row(
        kind=_SERVER,
        says="the server sends this request elsewhere",
        statuses=_ELSEWHERE,
    ),
    Row(kind=_DENIED, says="the server refuses the key", statuses=_statuses(401)),
    Row(kind=_DENIED, says="the account is out of credit", statuses=_statuses(402)),
    Row(kind=_DENIED, says="the proxy wants a login", statuses=_statuses(407)),
    # openrouter.ai/docs, errors: 403 also means that one input was flagged.
    Row(
        kind=_REJECTED,
        says="the provider's moderation refused the request",
        statuses=_statuses(403),
        words=re.compile(r"\bflagged\b", re.IGNORECASE),
        provider_only=True,
    ),
    Row(
        kind=_DENIED,
        says="the server refuses this key, account or region",
        statuses=_statuses(403, 451),
        provider_only=True,
    ),
    Row(
        kind=_NOT_FOUND,
        says="the server has no such model or path",
        statuses=_statuses(404, 405, 410),
        provider_only=True,
    ),
    # A wrong base URL, in words that are no provider's: waiting would last all night.
    Row(
        kind=_NOT_FOUND,
        says="nothing is at that address; is the base URL right?",
        statuses=_statuses(404, 405, 410),
        before_answers=True,
    ),
    Row(
        kind=_REJECTED,
        says="the server refuses the request",
        statuses=_statuses(400, 413, 414, 415, 422, 431),
    ),
    # 498: Groq's flex tier without capacity. 429 without a known code includes
    # OpenAI's flex tier ("Resource Unavailable").
    Row(
        kind=FailureKind.THROTTLED,
        says="the rate limit is reached",
        statuses=_statuses(429, 498),
    ),
    Row(
        kind=FailureKind.SLOW_DOWN,
        says="the server asks for less traffic",
        statuses=_statuses(529),
    ),
    # Somebody gave up waiting for a server that may have gone on to the end;
    # Azure's FAQ: a 408 is charged.
    Row(
        kind=_SERVER,
        says="the server did not answer its gateway in time",
        statuses=_statuses(408, 504, 524),
        possibly_billed=True,
    ),
    Row(
        kind=_SERVER,
        says="not the provider's own answer; a proxy or portal in between?",
        statuses=_statuses(403, 404, 405, 410, 451),
    ),
    Row(kind=_SERVER, says="the server failed", statuses=frozenset(range(400, 600))),
    # OpenAI's Responses API: a 200 with status "failed" and error.code.
    Row(
        kind=_SERVER,
        says="the server failed",
        codes=_codes("server_error"),
        possibly_billed=True,
    ),
)

_IN_A_200 = Row(
    kind=FailureKind.GARBLED,
    says="an error instead of an answer",
    possibly_billed=True,
)


def of_reply(status: int, error: ErrorBody, *, has_answers: bool) -> Row:
    """Return the row for a reply that is not an answer.

    `has_answers`: others were answered before it.

    In a 200 (OpenRouter and other gateways) the status inside the body counts.
    """
    if status < 300:  # noqa: PLR2004 - HTTP success
        status = error.status or status
    rows = (*_BY_CODE, *_BY_STATUS, _IN_A_200)
    return next(
        rule for rule in rows if rule.fits(status, error, has_answers=has_answers)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Break:
    """One row for what broke on the way."""

    causes: tuple[type[BaseException], ...]
    kind: FailureKind
    says: str


_BREAKS = (
    _Break(causes=(httpx2.InvalidURL,), kind=_REJECTED, says="the path is not one"),
    _Break(causes=(httpx2.ConnectTimeout,), kind=_NOT_SENT, says="no connection yet"),
    _Break(causes=(httpx2.PoolTimeout,), kind=_NOT_SENT, says="no free connection"),
    _Break(causes=(httpx2.ProxyError,), kind=_NOT_SENT, says="the proxy refused"),
    _Break(causes=(httpx2.ConnectError,), kind=_NOT_SENT, says="could not connect"),
    _Break(causes=(httpx2.TimeoutException,), kind=_TIMEOUT, says="no answer in time"),
    _Break(
        causes=(httpx2.DecodingError,),
        kind=FailureKind.GARBLED,
        says="the answer cannot be unpacked",
    ),
    _Break(
        causes=(httpx2.TransportError, OSError),
        kind=_CUT,
        says="the connection broke",
    ),
    _Break(causes=(BaseException,), kind=_CUT, says="the call failed"),
)


def of_break(error: BaseException, flight: Flight) -> Failure:
    """Say what it means that a call ended without a whole reply.

    What has left decides before what broke: not a byte, and nobody can have
    worked on it; all of it, and somebody may have.
    """
    if flight.cut_by is not None:
        return cut_by_us(flight)
    if flight.is_held_back:
        return Failure(kind=FailureKind.HELD_BACK, message="held back")
    chain = _chain(error)
    row, cause = next(
        (row, cause)
        for row in _BREAKS
        for cause in chain
        if isinstance(cause, row.causes)
    )
    kind = row.kind
    if flight.phase is Phase.CONNECTING and kind is not _REJECTED:
        kind = _NOT_SENT
    return Failure(
        kind=kind,
        message=f"{row.says}: {_words(cause)}",
        status=flight.status,
        possibly_billed=_may_be_billed(kind, flight),
    )


def _words(cause: BaseException) -> str:
    """What the system says, without its number."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(cause)) or type(cause).__name__


def cut_by_us(flight: Flight) -> Failure:
    """Say what it means that we ended the call: late, or abandoned."""
    is_late = flight.cut_by is Cut.DEADLINE
    kind = _TIMEOUT if is_late else _CUT
    if flight.phase is Phase.CONNECTING:
        kind = _NOT_SENT
    return Failure(
        kind=kind,
        message="no complete answer in time" if is_late else "stopped waiting for it",
        status=flight.status,
        possibly_billed=_may_be_billed(kind, flight),
    )


def _may_be_billed(kind: FailureKind, flight: Flight) -> bool:
    return flight.phase is Phase.SENT and kind not in (_NOT_SENT, _REJECTED)


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and what caused it, the outermost first."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return chain
