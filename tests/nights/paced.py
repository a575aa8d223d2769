"""How near to its limit does a run get? Whole runs in virtual time, without faults.

    python -m nights.paced                 every case, from the folder `tests`
    python -m nights.paced --only "6,000"

Supervisor, workers, limiter and governor are the real ones; clock, network and disk
are the nights'. The server enforces its limit over a strict 60 s window.
"""

import argparse
import functools
import itertools
import os
import random
import sys
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from nights import world as world_module
from nights.beginning import prepared
from nights.disk import Disk
from nights.machine import Clock, Machine
from nights.provider import Provider
from nights.running import in_child, place, template_run
from nights.world import Process, World
from runner.session.working import Wishes, work

_RAMP_S = 60.0
_LOOKED_AT_S = 120.0
_ERROR_S = 0.005
"""A gateway without a server behind it says so at once."""
_SLOW_LOOKED_AT_S = 600.0
"""A limit of five a minute shows late whether it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A limit, a latency, and what the user says."""

    says: str
    rpm: int
    latency_s: float
    told_rpm: int | None
    tells_limits: bool = True
    workers: int | None = None
    threads: int | None = None
    max_cost_usd: Decimal | None = None
    outage_s: tuple[float, float] | None = None
    """From when until when, after the first request, everything is a 502."""

    @property
    def looked_at_s(self) -> float:
        """How long the rate is looked at, after the ramp."""
        return _LOOKED_AT_S if self.rpm >= 60 else _SLOW_LOOKED_AT_S

    @property
    def items(self) -> int:
        """Enough that it does not end before."""
        minutes = (_RAMP_S + self.looked_at_s + 10 + self.latency_s) / 60
        minutes += self.outage_s[0] / 60 if self.outage_s else 0
        return max(20, int(self.rpm * minutes))


def _cases() -> list[Case]:
    found = [
        Case(says=f"told {rpm:,}", rpm=rpm, latency_s=latency_s, told_rpm=rpm)
        for rpm, latency_s in itertools.product(
            (5, 60, 600, 3_000, 6_000, 10_000), (0.2, 1.0, 5.0, 20.0)
        )
        if rpm / 60 * latency_s <= 1_000
    ]
    found += [
        Case(says="8 workers", rpm=6_000, latency_s=1.0, told_rpm=6_000, workers=8),
        Case(says="learned from headers", rpm=6_000, latency_s=1.0, told_rpm=None),
        Case(
            says="told 9,000, headers say it", rpm=6_000, latency_s=1.0, told_rpm=9_000
        ),
        Case(
            says="told 9,000, no headers",
            rpm=6_000,
            latency_s=1.0,
            told_rpm=9_000,
            tells_limits=False,
        ),
    ]
    found += [
        Case(
            says=f"told, an outage of {int(lasts_s)} s",
            rpm=3_000,
            latency_s=latency_s,
            told_rpm=3_000,
            tells_limits=False,
            outage_s=(12.0, 12.0 + lasts_s),
        )
        for lasts_s, latency_s in itertools.product((45.0, 100.0), (0.1, 1.0))
    ]
    return found


def row(case: Case, folder: Path) -> str:
    """One line of the table, from a run of its own."""
    os.environ["XDG_STATE_HOME"] = str(folder)
    template = template_run(folder, case.items)
    provider, crashes = _run(case, prepared(template, folder / "run", case))
    from_s = _begins_s(case, provider) + _RAMP_S
    until_s = from_s + case.looked_at_s
    # Billed one latency after their request: both ends are moved alike.
    billed_s = [billed.at_s - case.latency_s for billed in provider.ledger]
    answered = sum(from_s <= at_s < until_s for at_s in billed_s)
    allowed = case.rpm * case.looked_at_s / 60
    share = answered / allowed
    early = sum(sent.at_s < from_s for sent in provider.sent)
    return (
        f"| {case.rpm:,} | {case.latency_s:g} | {case.says} | {share:.1%} |"
        f" {answered - allowed:+.0f} | {early / case.rpm:.1%} | {provider.refusals} |"
        f" {len(crashes)} |"
    )


def _begins_s(case: Case, provider: Provider) -> float:
    """When the first request went, or the first that was answered after the outage."""
    first_s = provider.sent[0].at_s
    if case.outage_s is None:
        return first_s
    over_s = first_s + case.outage_s[1]
    return next(sent.at_s for sent in provider.sent if sent.at_s >= over_s)


_HEAD = (
    "| RPM | latency s | | share after a minute | requests off | first minute |"
    " 429s | crashes |\n| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
)


def _run(case: Case, run_folder: Path) -> tuple[Provider, list[str]]:
    random.seed(1)
    # Here time matters: who looks ten times a second does so.
    world_module.IDLE_LOOK_S = 0.0
    world = World(random.Random("world"))
    draw = random.Random("latency")

    def is_out() -> bool:
        if case.outage_s is None:
            return False
        from_s, until_s = case.outage_s
        first_s = provider.sent[0].at_s if provider.sent else world.now_s
        return from_s <= world.now_s - first_s < until_s

    provider = Provider(
        world=world,
        draw=random.Random("provider"),
        mood=lambda _item, _request_id: "502" if is_out() else None,
        is_good=lambda _item, _had: True,
        latency_s=lambda: case.latency_s * draw.uniform(0.8, 1.2),
        rpm=case.rpm,
        tells_limits=case.tells_limits,
        error_s=_ERROR_S,
    )
    disk = Disk(world, random.Random("disk"), slow_share=0.0)
    machine = Machine(world, disk, provider, Clock(world))
    machine.settle_in()
    machine.session = 1
    machine.supervisor = process = Process("supervisor")

    def supervise() -> None:
        work(
            run_folder,
            api_key="sk-paced",
            wishes=Wishes(),
            clock=machine.clock,
            on_status=lambda _: None,
            on_progress=None,
        )
        process.is_alive = False

    world.spawn(process, supervise)
    world.run_until(
        lambda: machine.is_quiet or bool(world.crashes), world.now_s + 3_600
    )
    return provider, world.crashes


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="nights.paced", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", default="", help="cases whose row holds this")
    only = parser.parse_args().only
    print(_HEAD)
    for case in _cases():
        if only in f"{case.rpm:,} {case.latency_s:g} {case.says}":
            with tempfile.TemporaryDirectory(dir=place()) as folder:
                told = in_child(functools.partial(row, case, Path(folder)))
            print(told, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
