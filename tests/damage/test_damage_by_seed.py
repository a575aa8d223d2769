"""Whatever happens to a run's files: the right values, or a refusal."""

from pathlib import Path

import pytest

from damage.running import Workshop

SEEDS = 100


def test_damage_gives_no_wrong_value_and_no_silent_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind twice on each of two runs; `python -m damage` tries 2,000."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    workshop = Workshop(tmp_path)
    found = [workshop.try_seed(seed, salvages=seed % 10 == 0) for seed in range(SEEDS)]

    assert [each for each in found if each.wrong] == []
    assert sum(bool(each.refused) for each in found) > SEEDS // 2
