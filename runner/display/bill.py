"""How are the totals of a run said: requests, tokens, dollars?

Floor: faces. Pure: reads Totals.
"""

from runner.records import Totals
from runner.wording import UNKNOWN, count, usd


def requests_words(totals: Totals) -> str:
    """Sent, answered, invalid, failures where there are any, retried."""
    failures = f", {count(totals.failures, 'failure')}" if totals.failures else ""
    return (
        f"{count(totals.sent)} sent, {count(totals.answered)} answered"
        f" ({count(totals.invalid_answers)} invalid){failures},"
        f" {count(totals.retried)} retried"
    )


def tokens_words(totals: Totals) -> str:
    """In, of it cached; out, of it reasoning; of which answers nobody knows."""
    if not totals.are_tokens_known:
        return UNKNOWN
    unknown = ""
    if totals.uncounted:
        unknown = f"; unknown for {count(totals.uncounted, 'answer')}"
    return (
        f"{count(totals.input_tokens)} in ({count(totals.cached_input_tokens)} cached),"
        f" {count(totals.output_tokens)} out"
        f" ({count(totals.reasoning_tokens)} reasoning){unknown}"
    )


def cost_words(totals: Totals, source: str | None = None) -> str:
    """Recorded dollars, and at most; what has no price is said."""
    cost, at_most = totals.cost_usd, totals.at_most_usd
    words = usd(cost)
    if at_most is None:
        words += ", at most unknown" if cost is not None else ""
    elif at_most != cost:
        words += f", at most {usd(at_most, is_bound=True)}"
    if totals.unpriced:
        words += f"; unpriced: {count(totals.unpriced, 'answer')}"
    return f"{words} ({source})" if source else words
