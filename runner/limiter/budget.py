"""Who has spent, promised and under way how much? One line for each slot.

Dollars are integers of 1e-12 USD, rounded up. A line is only ever changed by its
own process or, after that process's death, rebuilt from what it recorded.

Floor: doors and rules. Pure state and arithmetic. Knows nobody.
"""

from array import array
from dataclasses import dataclass, field
from decimal import Decimal

PICO = 10**12
MAX_SLOTS = 1000
_LINE = 4
LINE_BYTES = 8 * _LINE
_COMMITTED, _RESERVED, _REQUESTS, _TOKENS = range(_LINE)
_MOST = 2**63 - 1
"""9.2 million dollars: a line stays there rather than wrap round."""


def pico_usd(usd: Decimal) -> int:
    """Dollars as integers of 1e-12 USD, rounded up.

    Raises:
        ValueError: negative or not a number.
    """
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"not an amount of money: {usd}")
    numerator, denominator = usd.as_integer_ratio()
    return -(-numerator * PICO // denominator)


def _no_lines() -> "array[int]":
    return array("q")


@dataclass(slots=True)
class Lines:
    """Committed, reserved, requests and tokens in flight of every slot."""

    values: "array[int]" = field(default_factory=_no_lines)

    @property
    def committed_pico(self) -> int:
        """Spent, or perhaps spent, over all slots."""
        return sum(self.values[_COMMITTED::_LINE])

    @property
    def reserved_pico(self) -> int:
        """Worst case of all that is in flight."""
        return sum(self.values[_RESERVED::_LINE])

    @property
    def requests(self) -> int:
        """Requests in flight, over all slots."""
        return sum(self.values[_REQUESTS::_LINE])

    @property
    def tokens(self) -> int:
        """Tokens in flight, over all slots."""
        return sum(self.values[_TOKENS::_LINE])

    def requests_of(self, slot: int) -> int:
        """Requests in flight of one slot."""
        place = slot * _LINE + _REQUESTS
        return self.values[place] if place < len(self.values) else 0

    def begin(self, slot: int, worst_pico: int, tokens: int) -> None:
        """One more request is under way."""
        self._move(slot, (0, worst_pico, 1, tokens))

    def end(self, slot: int, worst_pico: int, tokens: int, spent_pico: int) -> None:
        """One request came to its end, having cost `spent_pico`."""
        self._move(slot, (spent_pico, -worst_pico, -1, -tokens))

    def release(self, slot: int, worst_pico: int) -> None:
        """What was promised to a request that is not even under way."""
        self._move(slot, (0, -worst_pico, 0, 0))

    def rebuild(self, slot: int, committed_pico: int) -> None:
        """Nothing of this slot is under way any more."""
        self._grow(slot)
        line = [min(committed_pico, _MOST), 0, 0, 0]
        self.values[slot * _LINE : (slot + 1) * _LINE] = array("q", line)

    def _move(self, slot: int, changes: tuple[int, int, int, int]) -> None:
        self._grow(slot)
        for place, change in enumerate(changes, slot * _LINE):
            self.values[place] = min(_MOST, max(0, self.values[place] + change))

    def _grow(self, slot: int) -> None:
        if not 0 <= slot < MAX_SLOTS:
            raise ValueError(f"slot {slot}: a run has slots 0 to {MAX_SLOTS - 1}")
        missing = (slot + 1) * _LINE - len(self.values)
        if missing > 0:
            self.values.extend([0] * missing)

    def to_bytes(self) -> bytes:
        """As many bytes as there are lines."""
        return self.values.tobytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Lines":
        """The inverse of `to_bytes`."""
        values: array[int] = array("q")
        values.frombytes(stored)
        return cls(values)
