"""When a run stops because going on would only burn money.

A wrong validity rule calls every answer invalid; a wrong parameter has every
request refused, too low a limit of tokens has none sent. All are seen within the
first items, not in the morning. And what an account without credit is told, in words
that nobody knew, must not fail all the items that are left.

Floor: the run. Pure.
"""

import collections
import re

from runner.run_status import Stop, StopKind
from runner.task import CUT_OFF, EMPTY_ANSWER, NO_VECTORS, UNREADABLE_ANSWER

FIRST_ANSWERS = 50
RAISES_IN_A_ROW = 20
FIRST_FAILURES = 20
FAILURES_IN_A_ROW = 200
"""Later in the run: so many neighbours in a file may be too long, hardly more."""
INVALID_IN_A_ROW = 200
"""Where the rule has said yes before: in a trial of three items, or until the server
became another one. Hard items may be neighbours, so the row must be longer, too, than
a tenth of what was valid in this session."""
_SHARE = 10
_HINT_ASKED = "mend what is asked, then `runner resume --accept-changes --retry-failed`"
_HINT_TPM = "allow more tokens: `runner resume --tpm N --retry-failed`"
_HINT_RULE = "fix the rule, then `runner rejudge` (free) and `runner resume`"
_HINT_CUT = (
    "allow longer answers (e.g. --param max_tokens=N), then"
    " `runner resume --accept-changes --retry-invalid`"
)
_HINT_NO_ANSWER = (
    "look at one with `runner show line:1`: is it the right --model, --endpoint and"
    " --base-url?"
)
_HINTS_BY_REASON = {
    CUT_OFF: _HINT_CUT,
    UNREADABLE_ANSWER: _HINT_NO_ANSWER,
    EMPTY_ANSWER: _HINT_NO_ANSWER,
    NO_VECTORS: _HINT_NO_ANSWER,
}
"""By how a reason begins that is not the user's rule's."""


class Guards:
    """Watches verdicts and failures of a session; says when to stop."""

    def __init__(self, *, any_valid: bool) -> None:
        """`any_valid`: the run holds valid answers, so its rule can say yes."""
        self._rule_can_say_yes = any_valid
        self._judged = self._valid = self._invalid_in_a_row = 0
        self._raises = 0
        self._failures: collections.Counter[str] = collections.Counter()

    def saw_verdict(self, *, valid: bool | None, reason: str | None) -> Stop | None:
        """One answer was judged."""
        self._judged += 1
        self._failures.clear()
        self._raises = self._raises + 1 if valid is None else 0
        self._rule_can_say_yes |= bool(valid)
        self._valid += bool(valid)
        self._invalid_in_a_row = 0 if valid else self._invalid_in_a_row + 1
        if self._raises >= RAISES_IN_A_ROW:
            return _rule(f"{self._raises} answers in a row could not be judged", reason)
        if not self._rule_can_say_yes and self._judged == FIRST_ANSWERS:
            return _rule(f"the first {self._judged} answers are all invalid", reason)
        row = self._invalid_in_a_row
        if row >= max(INVALID_IN_A_ROW, self._valid // _SHARE):
            return _rule(f"{row:,} answers in a row are invalid", reason)
        return None

    def saw_failure(self, reason: str) -> Stop | None:
        """One item failed: its request was refused, or got no answer so often."""
        # Items differ in their token counts, sizes and positions.
        words = re.sub(r"[0-9][0-9.,]*", "#", reason)
        self._failures[words] += 1
        alike = self._failures[words]
        if alike != (FAILURES_IN_A_ROW if self._judged else FIRST_FAILURES):
            return None
        which = f"the first {alike} items of this session all"
        if self._judged:
            which = f"{alike} items in a row"
        return Stop(
            kind=StopKind.REJECTED,
            message=f"{which} failed alike: {reason}",
            hint=_HINT_TPM if "--tpm" in reason else _HINT_ASKED,
        )


def _rule(what: str, reason: str | None) -> Stop:
    example = f", e.g.: {reason}" if reason else ""
    hints = (
        hint
        for words, hint in _HINTS_BY_REASON.items()
        if (reason or "").startswith(words)
    )
    hint = next(hints, _HINT_RULE)
    return Stop(kind=StopKind.VALIDATOR, message=f"{what}{example}", hint=hint)
