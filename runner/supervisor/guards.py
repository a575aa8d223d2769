"""When a run stops because going on would only burn money.

A wrong validity rule calls every answer invalid; a wrong parameter has every
request refused. Both are seen within the first items, not in the morning.

Floor: the run. Pure.
"""

from runner.records import Stop, StopKind

FIRST_ANSWERS = 50
RAISES_IN_A_ROW = 20
FIRST_REFUSALS = 20
_HINT_RULE = "fix the rule, then `runner rejudge` (free) and `runner resume`"


class Guards:
    """Watches verdicts and refusals of a session; says when to stop."""

    def __init__(self, *, any_valid: bool) -> None:
        """`any_valid`: the run holds valid answers, so its rule can say yes."""
        self._rule_can_say_yes = any_valid
        self._judged = 0
        self._raises = 0
        self._outcomes = 0
        self._refusals: dict[str, int] = {}

    def saw_verdict(self, *, valid: bool | None, reason: str | None) -> Stop | None:
        """One answer was judged."""
        self._judged += 1
        self._raises = self._raises + 1 if valid is None else 0
        self._rule_can_say_yes |= bool(valid)
        if self._raises >= RAISES_IN_A_ROW:
            return _rule(f"{self._raises} answers in a row could not be judged", reason)
        if not self._rule_can_say_yes and self._judged == FIRST_ANSWERS:
            return _rule(f"the first {self._judged} answers are all invalid", reason)
        return None

    def saw_outcomes(self, count: int, refusals: list[str]) -> Stop | None:
        """Items got an outcome, some because their request was refused."""
        self._outcomes += count
        for reason in refusals:
            self._refusals[reason] = self._refusals.get(reason, 0) + 1
            alike = self._refusals[reason]
            if alike == FIRST_REFUSALS and self._outcomes <= FIRST_REFUSALS:
                return Stop(
                    kind=StopKind.REJECTED,
                    message=f"the first {alike} requests were all refused: {reason}",
                    hint="mend the request, then `runner resume --accept-changes"
                    " --retry-failed`",
                )
        return None


def _rule(what: str, reason: str | None) -> Stop:
    example = f", e.g.: {reason}" if reason else ""
    return Stop(kind=StopKind.VALIDATOR, message=f"{what}{example}", hint=_HINT_RULE)
