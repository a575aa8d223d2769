"""Is there room for this request within the limits?

Owns the limits of one model: admission, charging, and the 429 that says no.

Floor: simulator. Knows meters, limit_headers, refusals and scenario.
"""

from dataclasses import dataclass

from runner.simulator.limit_headers import go_duration, limit_headers, retry_headers
from runner.simulator.meters import Bucket, Limit, Meter, SlidingWindow
from runner.simulator.refusals import Refusal, throttled
from runner.simulator.scenario import Scenario

_ORGANIZATION = "org-simulator"
_LIMITS_PAGE = "https://platform.openai.com/account/rate-limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gauge:
    limit: Limit
    meter: Meter


class Limits:
    """What one model may be asked: per minute, per day, in tokens."""

    def __init__(self, model: str, scenario: Scenario) -> None:
        self._model = model
        self._meters: dict[str, Meter] = {}
        self._window = scenario.window
        self.follow(scenario)

    def follow(self, scenario: Scenario) -> None:
        """Take over changed settings; what was used stays used."""
        if scenario.window != self._window:
            self._meters.clear()
        self._window = scenario.window
        self._scenario = scenario
        minute_s = 60.0 / scenario.time_scale
        self._day = self._gauge("rpd", scenario.rpd, "per day", minute_s * 1440)
        self._minute = self._gauge("rpm", scenario.rpm, "per min", minute_s)
        self._tokens = self._gauge("tpm", scenario.tpm, "per min", minute_s)
        self._requests = [gauge for gauge in (self._day, self._minute) if gauge]

    def admit(self, tokens: int, now_s: float) -> Refusal | None:
        """Charge one request, or say why not.

        `tokens` is the charge at admission.
        """
        for gauge in self._requests:
            refusal = self._refusal(gauge, 1, now_s)
            if refusal:
                self._count_rejected(now_s)
                return refusal
        if self._tokens:
            refusal = self._refusal(self._tokens, tokens, now_s)
            if refusal:
                self._count_rejected(now_s)
                return refusal
        self._take(tokens, now_s)
        return None

    def charge(self, tokens: int, now_s: float) -> None:
        """Charge what an answer really used, where that is when it is charged."""
        if self._tokens and self._scenario.tpm_charge == "usage":
            self._tokens.meter.used(self._tokens.limit, now_s)
            self._tokens.meter.add(tokens, now_s)

    def headers(self, now_s: float) -> dict[str, str]:
        """The x-ratelimit headers of this moment; none without limits."""
        daily = self._scenario.headers == "daily" or not self._minute
        shown = self._day if self._day and daily else self._minute
        headers: dict[str, str] = {}
        for gauge in (shown, self._tokens):
            if gauge:
                used = gauge.meter.used(gauge.limit, now_s)
                headers |= limit_headers(gauge.limit, used)
        return headers

    def _gauge(
        self, name: str, amount: int, per: str, period_s: float
    ) -> _Gauge | None:
        if not amount:
            return None
        kind = "tokens" if name == "tpm" else "requests"
        label = f"{kind} {per} ({name.upper()})"
        if name not in self._meters:
            self._meters[name] = (
                Bucket() if self._window == "bucket" else SlidingWindow()
            )
        limit = Limit(label=label, kind=kind, amount=amount, period_s=period_s)
        return _Gauge(limit=limit, meter=self._meters[name])

    def _refusal(self, gauge: _Gauge, amount: int, now_s: float) -> Refusal | None:
        limit = gauge.limit
        if amount > limit.amount:
            return self._too_large(limit, amount, now_s)
        wait_s = gauge.meter.wait_s(limit, amount, now_s)
        if wait_s <= 0:
            return None
        used = min(limit.amount, round(gauge.meter.used(limit, now_s)))
        message = (
            f"Rate limit reached for {self._model} in organization {_ORGANIZATION} on"
            f" {limit.label}: Limit {limit.amount}, Used {used}, Requested {amount}."
            f" Please try again in {go_duration(wait_s)}. Visit {_LIMITS_PAGE} to learn"
            " more."
        )
        headers = self.headers(now_s) | retry_headers(
            wait_s, self._scenario.retry_after
        )
        return throttled(limit.kind, message, headers)

    def _too_large(self, limit: Limit, amount: int, now_s: float) -> Refusal:
        message = (
            f"Request too large for {self._model} in organization {_ORGANIZATION} on"
            f" {limit.label}: Limit {limit.amount}, Requested {amount}. The input or"
            f" output tokens must be reduced in order to run successfully. Visit"
            f" {_LIMITS_PAGE} to learn more."
        )
        return throttled(limit.kind, message, self.headers(now_s))

    def _count_rejected(self, now_s: float) -> None:
        if self._scenario.count_rejected:
            for gauge in self._requests:
                gauge.meter.add(1, now_s)

    def _take(self, tokens: int, now_s: float) -> None:
        for gauge in self._requests:
            gauge.meter.add(1, now_s)
        if self._tokens and self._scenario.tpm_charge == "admission":
            self._tokens.meter.add(tokens, now_s)
