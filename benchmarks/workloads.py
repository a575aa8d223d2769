"""What is asked, of what server, how fast? One row for each comparison.

Knows nothing of the contestants.
"""

import dataclasses
import json
import random
from pathlib import Path
from typing import Literal

PROMPT_CHARACTERS = 400
HEAVY_CHARACTERS = 600
"""Median of the unequal prompts."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Items, a server's manners and the speed that everybody is told.

    `meter` is how the server counts its limits, `charges` what it takes for tokens:
    at admission the larger of the output limit and a quarter of the characters, or
    what was really used. Zero is no limit.
    """

    name: str
    says: str
    items: int
    in_flight: int
    latency_s: float = 1.0
    slow_share: float = 0.0
    slow_factor: float = 1.0
    rpm: int = 0
    tpm: int = 0
    meter: Literal["bucket", "window"] = "bucket"
    charges: Literal["admission", "usage"] = "admission"
    is_tls: bool = False
    is_uneven: bool = False
    output_tokens: int = 200
    measured_s: float = 120.0
    """After a ramp, at most: the share of the limit that is used in this time."""
    workers: int = 2
    """Processes of runner; nobody else has several."""
    is_told: bool = True
    """Whether runner is told its workers and threads; else it finds them."""
    runs: int = 1
    """So many of runner's at once on one key, each with its part of the items."""

    def request_burst(self) -> int:
        """Return what a bucket of requests holds: a second's."""
        return max(1, self.rpm // 60)

    def token_burst(self) -> int:
        """Return what a bucket of tokens holds: ten seconds', for large items."""
        return self.tpm // 6

    def lua_settings(self) -> str:
        """Return the fields of the server's table."""
        settings: dict[str, float | str] = {
            "latency": self.latency_s,
            "slow_share": self.slow_share,
            "slow_factor": self.slow_factor,
            "rpm": self.rpm,
            "request_burst": self.request_burst(),
            "tpm": self.tpm,
            "token_burst": self.token_burst(),
            "meter": self.meter,
            "charges": self.charges,
        }
        return ", ".join(f"{name} = {json.dumps(v)}" for name, v in settings.items())

    def write_items(self, path: Path) -> None:
        """Write the items; the same ones for everybody and for ever."""
        chance = random.Random(20261124)
        with path.open("w") as file:
            for number in range(1, self.items + 1):
                item = {"id": f"item-{number:07d}", "prompt": ""}
                item["prompt"] = (
                    f"{item['id']} {_words(chance, is_uneven=self.is_uneven)} end."
                )
                file.write(json.dumps(item) + "\n")


def _words(chance: random.Random, *, is_uneven: bool) -> str:
    characters = PROMPT_CHARACTERS
    if is_uneven:
        characters = min(20_000, int(HEAVY_CHARACTERS * chance.lognormvariate(0, 1)))
    sentence = "Read this passage and say in one sentence what it claims, and why. "
    return (sentence * (characters // len(sentence) + 1))[:characters].strip()


OPEN = Workload(
    name="open",
    says="5,000 items, 1 s latency, 1,000 in flight, no limit",
    items=5_000,
    in_flight=1_000,
)
_LIMITED = Workload(
    name="bucket",
    says="6,000 requests a minute, token bucket of 100, 1 s latency",
    items=15_000,
    in_flight=400,
    rpm=6_000,
    workers=8,
)
_TOKENS = Workload(
    name="tokens",
    says="600,000 tokens a minute charged at admission, unequal items, 1 s latency",
    items=9_000,
    in_flight=400,
    tpm=600_000,
    measured_s=300.0,
    is_uneven=True,
    output_tokens=300,
    workers=8,
)
WORKLOADS = {
    workload.name: workload
    for workload in (
        OPEN,
        dataclasses.replace(
            OPEN, name="open-tls", says=f"{OPEN.says}, over TLS", is_tls=True
        ),
        dataclasses.replace(
            OPEN,
            name="sustained",
            says="30,000 items, 0.5 s latency, 1,000 in flight, no limit",
            items=30_000,
            latency_s=0.5,
        ),
        dataclasses.replace(
            OPEN,
            name="sustained-tls",
            says="30,000 items, 0.5 s latency, 1,000 in flight, no limit, over TLS",
            items=30_000,
            latency_s=0.5,
            is_tls=True,
        ),
        dataclasses.replace(
            OPEN,
            name="long",
            says="300,000 items, 0.5 s latency, 1,000 in flight, no limit",
            items=300_000,
            latency_s=0.5,
        ),
        dataclasses.replace(
            OPEN,
            name="uneven",
            says="5,000 items, 1 s latency, each fiftieth 10 s, 1,000 in flight",
            slow_share=0.02,
            slow_factor=10.0,
        ),
        dataclasses.replace(
            OPEN,
            name="start",
            says="10 items, no latency, as somebody tries it first",
            items=10,
            latency_s=0.0,
            is_told=False,
        ),
        _LIMITED,
        dataclasses.replace(
            _LIMITED,
            name="window",
            says="6,000 requests in any 60 s, strictly, 1 s latency",
            meter="window",
        ),
        dataclasses.replace(
            _LIMITED,
            name="two",
            says="6,000 requests a minute, token bucket of 100, two runs on one key",
            workers=4,
            runs=2,
        ),
        dataclasses.replace(
            _LIMITED,
            name="short",
            says="3,000 items, 6,000 requests in any 60 s, 1 s latency",
            meter="window",
            items=3_000,
            in_flight=1_000,
            is_told=False,
        ),
        _TOKENS,
        dataclasses.replace(
            _TOKENS,
            name="tokens-usage",
            says="600,000 tokens a minute charged as used, unequal items, 1 s latency",
            charges="usage",
        ),
    )
}
