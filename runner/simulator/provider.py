"""What does the provider decide about one request?

Owns the order of its decisions: outage, key, account, body, model, limits, fault,
answer. No network and no clock: bytes and time in, a plan out.

Floor: simulator. Knows everything below; not the server.
"""

from decimal import Decimal

from runner.simulator import plans, refusals
from runner.simulator.answers import GOOD, Said, say
from runner.simulator.asked import EMBEDDINGS, Call, read_call
from runner.simulator.draws import Draws
from runner.simulator.faults import FAULTS, KINDS, NO_FAULT, Delivery
from runner.simulator.limits import Limits
from runner.simulator.memory import Memory
from runner.simulator.plans import Plan
from runner.simulator.prices import PRICES, cost_usd
from runner.simulator.refusals import Refusal, Rejected
from runner.simulator.scenario import Scenario
from runner.simulator.shapes import Usage, answer_body, embeddings_body, usage_of
from runner.simulator.wire import JsonObject, encode

_CACHE_STEP = 128
"""Cached tokens come in multiples of this (OpenAI's prompt-caching guide)."""
SILENT_OUTAGES = {"hang": Delivery.HANG, "refuse": Delivery.CLOSE}
"""Outages without any reply. `refuse` meets a request only if its connection was
open just before the listening socket closed."""


class Provider:
    """One simulated account: its scenario, its limits, its memory."""

    def __init__(self, scenario: Scenario, seed: int, memory: Memory) -> None:
        self.memory = memory
        self._draws = Draws(seed)
        self._limits: dict[str, Limits] = {}
        self._failed_first = 0
        self.scenario = scenario
        self.follow(scenario)

    def follow(self, scenario: Scenario) -> None:
        """Behave like this from now on; what limits have counted stays counted."""
        if scenario.fail_first != self.scenario.fail_first:
            self._failed_first = 0
        self.scenario = scenario
        self._fault_rates = _rates(scenario, tuple(FAULTS))
        self._kind_rates = _rates(scenario, KINDS)
        for limits in self._limits.values():
            limits.follow(scenario)

    def plan(
        self, path: str, raw: bytes, key: str | None, identity: str, now_s: float
    ) -> Plan:
        """Decide about one request; `identity` is unique, for ids in the body."""
        call, problem = _read(path, raw)
        if self.scenario.outage in SILENT_OUTAGES:
            return plans.silence(path, call, SILENT_OUTAGES[self.scenario.outage])
        refusal = self.closed_door(key) or self._account() or problem
        refusal = refusal or self._impossible(call)
        if refusal or call is None:
            return plans.refused(path, call, refusal or _nothing_read())
        forced = self._first_fault()
        refusal = None if forced else self._over_limit(call, now_s)
        if refusal:
            return plans.refused(path, call, refusal)
        return self._admitted(call, forced, identity, now_s)

    def closed_door(self, key: str | None) -> Refusal | None:
        """What every request meets, whatever it asks."""
        outage = self.scenario.outage
        if outage in ("500", "503"):
            return refusals.outage(int(outage))
        if outage == "proxy_html":
            return refusals.page("outage", self.scenario.proxy_status)
        if self.scenario.key not in ("any", key):
            return refusals.wrong_key(key)
        return None

    def complete(self, plan: Plan, now_s: float) -> None:
        """An answer is generated: charge its tokens where usage is charged."""
        if plan.usage and plan.call:
            tokens = plan.usage.input_tokens + plan.usage.output_tokens
            self._limits_of(plan.call.model).charge(tokens, now_s)

    def _account(self) -> Refusal | None:
        scenario = self.scenario
        if scenario.account == "deactivated":
            return refusals.deactivated()
        if scenario.account == "spend_limit":
            return refusals.spend_limit()
        spent = scenario.credit_usd and self.memory.billed_usd >= scenario.credit_usd
        return (
            refusals.empty_account() if spent or scenario.account == "empty" else None
        )

    def _impossible(self, call: Call | None) -> Refusal | None:
        if call and not self.knows_model(call.model):
            return refusals.unknown_model(call.model)
        if call and call.input_tokens > self.scenario.context:
            return refusals.too_long(self.scenario.context, call.input_tokens)
        return None

    def knows_model(self, model: str) -> bool:
        """Whether requests for this model are answered."""
        if model in self.scenario.unknown_model:
            return False
        return model in PRICES or not self.scenario.strict_models

    def _first_fault(self) -> str | None:
        if self._failed_first >= self.scenario.fail_first:
            return None
        self._failed_first += 1
        return self.scenario.fail_first_fault

    def _limits_of(self, model: str) -> Limits:
        if model not in self._limits:
            self._limits[model] = Limits(model, self.scenario)
        return self._limits[model]

    def _over_limit(self, call: Call, now_s: float) -> Refusal | None:
        at_admission = self.scenario.tpm_charge == "admission"
        tokens = call.charge_tokens if at_admission else call.input_tokens
        refusal = self._limits_of(call.model).admit(tokens, now_s)
        if refusal and self._hides_headers(call, 0):
            for name in [n for n in refusal.headers if n.startswith("x-ratelimit")]:
                del refusal.headers[name]
        return refusal

    def _admitted(
        self, call: Call, forced: str | None, identity: str, now_s: float
    ) -> Plan:
        asked = self.memory.ask(call.digest, self._mark_up_to(call))
        name = forced or self._fault(call, asked)
        fault = FAULTS.get(name or "", NO_FAULT)
        headers = self._limit_headers(call, asked, now_s)
        if not fault.billed:
            assert name is not None
            return self._refused(call, name, headers)
        outcome = name if name in FAULTS else None
        kind = name if name in KINDS else None
        return self._answered(
            call, outcome, kind, headers, asked=asked, identity=identity
        )

    def _mark_up_to(self, call: Call) -> int:
        # One that has a fault of its own takes no place among the always invalid.
        return 0 if self._is_matched(call) else self.scenario.always_invalid

    def _is_matched(self, call: Call) -> bool:
        return bool(self.scenario.match) and self.scenario.match in call.text

    def _fault(self, call: Call, asked: int) -> str | None:
        scenario = self.scenario
        if self._is_matched(call):
            return scenario.match_fault
        return self._draws.one_of(self._fault_rates, "fault", call.digest, asked)

    def _limit_headers(self, call: Call, asked: int, now_s: float) -> dict[str, str]:
        if self._hides_headers(call, asked):
            return {}
        return self._limits_of(call.model).headers(now_s)

    def _hides_headers(self, call: Call, asked: int) -> bool:
        rate = self.scenario.no_headers
        return self._draws.hits(rate, "no_headers", call.digest, asked)

    def _refused(self, call: Call, name: str, headers: dict[str, str]) -> Plan:
        refusal = refusals.fault(name, call.path)
        refusal.headers.update(headers | refusal.headers)
        if refusal.status == 429 and self.scenario.retry_after:  # noqa: PLR2004 (HTTP)
            refusal.headers.pop("retry-after-ms", None)
            refusal.headers["retry-after"] = self.scenario.retry_after
        marked = self.memory.is_marked(call.digest)
        return plans.refused(call.path, call, refusal, marked=marked)

    def _answered(
        self,
        call: Call,
        outcome: str | None,
        kind: str | None,
        headers: dict[str, str],
        *,
        asked: int,
        identity: str,
    ) -> Plan:
        marked = self.memory.is_marked(call.digest)
        answered = self.memory.answer(call.digest)
        kind = kind or ("invalid" if marked else self._kind(call, answered))
        if call.endpoint == EMBEDDINGS and kind != "invalid":
            kind = GOOD  # a vector cannot be refused or cut short
        document, usage = self._generated(call, kind, answered, identity)
        if self._draws.hits(self.scenario.no_usage, "no_usage", call.digest, answered):
            del document["usage"]
        body = encode(document)
        cost = cost_usd(call.model, usage.to_json())
        self.memory.billed_usd += cost or Decimal(0)
        return Plan(
            endpoint=call.path,
            outcome=outcome or "answer",
            status=200,
            body=body[: len(body) * 2 // 3] if outcome == "malformed" else body,
            headers=headers,
            delivery=FAULTS.get(outcome or "", NO_FAULT).delivery,
            delay_s=self._delay_s(call, asked),
            kind=kind,
            usage=usage,
            cost_usd=cost,
            marked=marked,
            call=call,
        )

    def _kind(self, call: Call, answered: int) -> str:
        drawn = self._draws.one_of(self._kind_rates, "kind", call.digest, answered)
        return drawn or GOOD

    def _generated(
        self, call: Call, kind: str, answered: int, identity: str
    ) -> tuple[JsonObject, Usage]:
        cached = self._cached_tokens(call, answered)
        if call.endpoint == EMBEDDINGS:
            usage = usage_of(call, (), 0)
            is_short = kind == "invalid"
            return embeddings_body(call, usage, leave_out_last=is_short), usage
        said = self._said(call, kind, answered)
        usage = usage_of(call, said, cached)
        return answer_body(call, said, usage, identity), usage

    def _said(self, call: Call, kind: str, answered: int) -> list[Said]:
        random = self._draws.random("answer", call.digest, answered)
        return [say(call, self.scenario, kind, random) for _ in range(call.copies)]

    def _cached_tokens(self, call: Call, answered: int) -> int:
        least = self.scenario.cached_min
        if call.input_tokens < least:
            return 0
        if not self._draws.hits(self.scenario.cached, "cached", call.digest, answered):
            return 0
        step = min(_CACHE_STEP, least)
        return call.input_tokens // step * step

    def _delay_s(self, call: Call, asked: int) -> float:
        scenario = self.scenario
        delay_s = self._draws.latency_s(
            scenario.latency, scenario.latency_spread, call.digest, asked
        )
        return min(delay_s, scenario.latency_max)


def _rates(scenario: Scenario, names: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    pairs = ((name, getattr(scenario, name)) for name in names)
    return tuple((name, rate) for name, rate in pairs if rate)


def _read(path: str, raw: bytes) -> tuple[Call | None, Refusal | None]:
    try:
        return read_call(path, raw), None
    except Rejected as rejected:
        return None, rejected.refusal


def _nothing_read() -> Refusal:
    return refusals.rejected("The request could not be read.")
