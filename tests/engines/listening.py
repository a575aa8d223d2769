"""What a worker is told, and what it says."""

import json
import time
from collections.abc import Callable

from runner.checkpoint.reading import RunReader
from runner.protocols import Died, Engine, Event, Said, WorkerSettings


class Listener:
    """Polls an engine and keeps what it said."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[Event] = []

    def until(self, is_enough: Callable[[], bool]) -> None:
        """Poll until that is so."""
        deadline_s = time.monotonic() + 60
        while not is_enough():
            assert time.monotonic() < deadline_s, self.events[-3:]
            self.events += self.engine.poll(0.1)

    def said(self, what: str) -> list[dict[str, object]]:
        """Messages of that kind."""
        return [
            event.message
            for event in self.events
            if isinstance(event, Said) and event.message["is"] == what
        ]

    @property
    def done(self) -> list[int]:
        """Rows told as done."""
        return [row for m in self.said("progress") for row in m["done"]]  # type: ignore[attr-defined]  # JSON

    @property
    def deaths(self) -> list[Died]:
        """Workers that are gone."""
        return [event for event in self.events if isinstance(event, Died)]


def work(rows: range) -> dict[str, object]:
    """An order to walk those rows."""
    return {"do": "work", "rows": list(rows), "histories": {}}


def begun(engine: Engine, settings: WorkerSettings) -> Listener:
    """A listener to a worker that is ready."""
    listener = Listener(engine)
    engine.start(settings, "sk-test")
    listener.until(lambda: bool(listener.said("ready")))
    return listener


def recorded(settings: WorkerSettings) -> dict[int, str]:
    """Item number → response on disk."""
    reader = RunReader(settings.run_folder, settings.run_id, [1], live=False)
    found = {o.number: json.loads(r)["response"] for o, r in reader.outcomes()}
    reader.close()
    return found
