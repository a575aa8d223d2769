"""Whatever ends a caller or a worker is told, once, and without the key."""

from collections.abc import Iterator

import pytest
from listening import Listener, begun, work

from runner.engines import load
from runner.protocols import Engine, WorkerSettings
from runner.worker import main
from runner.worker.walk import Walk

KEY = "sk-canary-0123456789"


class Panic(BaseException):
    """As the exceptions of extension modules are that nobody is to catch."""


@pytest.fixture
def inline() -> Iterator[Engine]:
    engine = load("inline")
    yield engine
    engine.close()


def test_a_caller_that_is_ended_by_what_nobody_catches(
    inline: Engine, settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its items would be waited for all night."""

    def panic(_walk: object) -> None:
        raise Panic

    monkeypatch.setattr(Walk, "to_end", panic)
    listener = begun(inline, settings)
    inline.send(1, work(range(1)))
    listener.until(lambda: any(m["crashes"] for m in listener.said("progress")))


def test_a_worker_that_falls_over_in_this_process_prints_nothing(
    inline: Engine,
    settings: WorkerSettings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The library never does, and a traceback may hold the key."""

    def broken(*_: object) -> None:
        raise ValueError(f"not {KEY}")

    monkeypatch.setattr(main, "Worker", broken)
    listener = Listener(inline)
    inline.start(settings, KEY)
    listener.until(lambda: bool(listener.deaths))
    ((crash,), (death,)) = listener.said("crash"), listener.deaths
    assert "ValueError: not [redacted]" in str(crash["traceback"])
    assert KEY not in f"{death}{capfd.readouterr()}"
    assert not death.is_clean
