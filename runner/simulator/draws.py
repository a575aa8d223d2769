"""How does chance fall the same way in every run?

Owns every random decision: a hash of the seed, what is decided, the prompt, and
how often that prompt came before. Nothing depends on the order of requests.

Floor: simulator, bottom. Knows nobody.
"""

import hashlib
import math
import random
from collections.abc import Iterable
from statistics import NormalDist

_NORMAL = NormalDist()


class Draws:
    """Decisions of one seed."""

    __slots__ = ("_key",)

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(str(seed).encode()).digest()

    def number(self, what: str, prompt: bytes, times: int) -> float:
        """A number in [0, 1), the same for the same arguments."""
        return self._integer(what, prompt, times) / 2.0**64

    def hits(self, rate: float, what: str, prompt: bytes, times: int) -> bool:
        """Whether something that happens at `rate` happens now."""
        return rate > 0 and self.number(what, prompt, times) < rate

    def one_of(
        self, rates: Iterable[tuple[str, float]], what: str, prompt: bytes, times: int
    ) -> str | None:
        """At most one of several events, each at its own rate."""
        rates = tuple(rates)
        if not rates:
            return None
        number = self.number(what, prompt, times)
        for name, rate in rates:
            if number < rate:
                return name
            number -= rate
        return None

    def latency_s(
        self, median_s: float, spread: float, prompt: bytes, times: int
    ) -> float:
        """Lognormal around the median; `spread` is its sigma, 0 for fixed."""
        if spread == 0 or median_s == 0:
            return median_s
        number = self.number("latency", prompt, times)
        number = min(max(number, 1e-9), 1 - 1e-9)  # inv_cdf refuses 0 and 1
        return median_s * math.exp(spread * _NORMAL.inv_cdf(number))

    def random(self, what: str, prompt: bytes, times: int) -> random.Random:
        """A generator of its own for decisions without number."""
        return random.Random(self._integer(what, prompt, times))

    def _integer(self, what: str, prompt: bytes, times: int) -> int:
        text = b"%b|%d|%b" % (what.encode(), times, prompt)
        digest = hashlib.blake2b(text, key=self._key, digest_size=8).digest()
        return int.from_bytes(digest)
