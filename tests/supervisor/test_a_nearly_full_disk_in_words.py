"""How little room there is, and how much is wanted, in units that show it."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.supervisor.stops import want_of_room


@pytest.mark.parametrize(
    ("free", "keep", "left", "wanted"),
    [
        (300 << 20, 2 << 30, "300 MiB", "2048 MiB"),
        (0, 1 << 30, "0 bytes", "1024 MiB"),
        (300 << 10, 800 << 10, "300 KiB", "800 KiB"),
        (700, 3 << 20, "700 bytes", "3 MiB"),
        ((5 << 20) + 1, (5 << 20) + 2, "5,242,881 bytes", "5,242,882 bytes"),
    ],
)
def test_too_little_room_is_never_as_much_as_is_wanted(
    monkeypatch: pytest.MonkeyPatch, free: int, keep: int, left: str, wanted: str
) -> None:
    usage = SimpleNamespace(total=1 << 40, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    said = want_of_room(Path("state"), keep)

    assert (
        said
        == f"the disk of state has {left} left, less than the {wanted} to keep free"
    )
