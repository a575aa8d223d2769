"""What a dead worker had reserved is free again; what it may have spent is not."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from fake_clock import FakeClock

from runner.protocols import Died
from runner.records import Totals
from runner.supervisor import undertaker
from runner.supervisor.slot import Slot
from runner.supervisor.undertaker import Undertaker

SPENT_USD, OPEN_USD = Decimal("0.3"), Decimal("0.2")


@pytest.mark.parametrize("is_clean", [False, True])
def test_its_slot_holds_what_is_on_disk_before_another_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, *, is_clean: bool
) -> None:
    """A reservation that stays would come off the cap for ever."""
    on_disk = Totals(answers_usd=SPENT_USD, open_usd=OPEN_USD)
    shard = SimpleNamespace(totals=lambda: on_disk, close=lambda: None)
    monkeypatch.setattr(undertaker, "ShardReader", lambda *_, **__: shard)
    holders, said = ["the cells are held"], list[tuple[int, Decimal]]()

    def rebuilt(_place: object, slot: int, usd: Decimal, _clock: object) -> Any:
        said.append((slot, usd))
        return holders.pop() if holders else None

    monkeypatch.setattr(undertaker, "rebuild_slot", rebuilt)
    run: Any = SimpleNamespace(
        folder=None,
        place=None,
        concurrency=SimpleNamespace(workers=2),
        decide_last_commit=lambda _slot: None,
    )
    found = Undertaker(run, FakeClock())
    slot = Slot(number=1, threads=1, totals=Totals(), is_ready=True)
    death = Died(1, "it ended", is_clean=is_clean)
    found.bury(slot, death, lambda _slot, _row: None, draining=False)

    assert found.owes(1)
    found.settle()
    assert found.owes(1)  # not while somebody holds the cells
    found.settle()
    assert not found.owes(1)
    assert said == [(1, SPENT_USD + OPEN_USD)] * 2
