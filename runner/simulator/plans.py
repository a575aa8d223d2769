"""What becomes of one request?

Owns the record that joins the decision (provider) with its delivery (server) and
its ledger line.

Floor: simulator. Knows asked, faults, refusals, shapes.
"""

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal

from runner.simulator.asked import Call
from runner.simulator.faults import Delivery
from runner.simulator.refusals import JSON, Refusal
from runner.simulator.shapes import Usage
from runner.simulator.wire import JsonObject

_SILENT = frozenset({Delivery.CLOSE, Delivery.HANG})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One reply, decided and not yet sent."""

    endpoint: str
    outcome: str
    """`answer`, a fault's name, or rate_limited, denied, unknown_model, rejected,
    outage, incomplete."""
    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.PLAIN
    delay_s: float = 0.0
    kind: str | None = None
    """Which kind of answer was generated; None if none was."""
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    """None also for an answer of a model without a price."""
    authorized: bool = True
    marked: bool = False
    call: Call | None = None

    @property
    def billed(self) -> bool:
        """Whether an answer was generated."""
        return self.usage is not None

    def ledger_line(
        self, client_request_id: str | None, request_id: str, received_unix_s: float
    ) -> JsonObject:
        """The line of this request, without the time of writing."""
        line: JsonObject = {
            "received_unix_s": received_unix_s,
            "client_request_id": client_request_id,
            "request_id": request_id,
            "endpoint": self.endpoint,
            "model": self.call.model if self.call else None,
            "outcome": self.outcome,
            "kind": self.kind,
            "status": None if self.delivery in _SILENT else self.status,
            "billed": self.billed,
            "usage": self.usage.to_json() if self.usage else None,
            "cost_usd": None if self.cost_usd is None else f"{self.cost_usd:f}",
            "prompt_sha256": self.call.digest.hex() if self.call else None,
            "answer_sha256": self._answer_sha256(),
            "authorized": self.authorized,
        }
        if self.marked:
            line["marked"] = True
        return line

    def _answer_sha256(self) -> str | None:
        return hashlib.sha256(self.body).hexdigest() if self.billed else None


def refused(
    endpoint: str, call: Call | None, refusal: Refusal, *, marked: bool = False
) -> Plan:
    """The plan for a request that gets no answer."""
    return Plan(
        endpoint=endpoint,
        outcome=refusal.outcome,
        status=refusal.status,
        body=refusal.body,
        content_type=refusal.content_type,
        headers=refusal.headers,
        authorized=refusal.authorized,
        marked=marked,
        call=call,
    )


def silence(endpoint: str, call: Call | None, delivery: Delivery) -> Plan:
    """Nothing is generated and nothing comes back."""
    return Plan(
        endpoint=endpoint,
        outcome="outage",
        status=0,
        body=b"",
        delivery=delivery,
        call=call,
    )


def incomplete(endpoint: str) -> Plan:
    """A request whose body never arrived in full."""
    return Plan(endpoint=endpoint, outcome="incomplete", status=400, body=b"")
