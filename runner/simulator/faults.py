"""What can go wrong with one request, and is it billed?

Owns the list of faults and of answer kinds. Every name here is a setting of the
scenario (its rate), a word for `match_fault`, and an outcome or kind in the ledger.

Floor: simulator, bottom. Knows nobody.
"""

from dataclasses import dataclass
from enum import StrEnum


class Delivery(StrEnum):
    """How the bytes of a reply go out."""

    PLAIN = "plain"
    RESET = "reset"
    CLOSE = "close"
    TRICKLE_BODY = "trickle_body"
    TRICKLE_HEADERS = "trickle_headers"
    HANG = "hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way a request ends without a usable answer."""

    billed: bool = False
    """An answer was generated, and is paid for, although it does not arrive."""
    delivery: Delivery = Delivery.PLAIN


FAULTS: dict[str, Fault] = {
    "error_500": Fault(),
    "error_503": Fault(),
    "slow_down": Fault(),
    "overloaded": Fault(),
    "rate_limited_at_random": Fault(),
    "bad_request": Fault(),
    "redirect": Fault(),
    "html": Fault(),
    "error_in_200": Fault(),
    "error_string": Fault(),
    "malformed": Fault(billed=True),
    "reset": Fault(billed=True, delivery=Delivery.RESET),
    "close_before_reply": Fault(billed=True, delivery=Delivery.CLOSE),
    "trickle_body": Fault(billed=True, delivery=Delivery.TRICKLE_BODY),
    "trickle_headers": Fault(billed=True, delivery=Delivery.TRICKLE_HEADERS),
    "hang": Fault(billed=True, delivery=Delivery.HANG),
}
"""In the order in which one draw is shared out between them. What each looks like
is the help text of the setting of that name."""

KINDS = ("invalid", "refusal", "truncated", "empty", "content_filter", "surrogate")
"""Kinds of answer other than a good one: all arrive, and are billed."""

NO_FAULT = Fault(billed=True)
