"""A running simulator, steered between tests and asked by a plain client."""

import itertools
import json
from pathlib import Path
from typing import Any

import requests

from runner.simulator import Simulator, read_ledger
from runner.simulator.scenario import Scenario
from runner.simulator.scenario_text import parse, to_json

CHAT = "/chat/completions"
_NUMBERS = itertools.count(1)


class Bench:
    """One running simulator and a client that hides nothing."""

    def __init__(self, simulator: Simulator, ledger: Path) -> None:
        self.simulator = simulator
        self.ledger_path = ledger
        self.session = requests.Session()
        self.model = f"test-{next(_NUMBERS)}"

    def set(self, scenario: str) -> None:
        """Behave like this and no other way."""
        settings = to_json(parse(scenario, Scenario(latency=0.0)))
        settings["key"] = parse(scenario).key
        reply = requests.post(f"{self.simulator.control_url}/scenario", json=settings)
        assert reply.status_code == 200, reply.text

    def ask(
        self,
        prompt: str = "",
        path: str = CHAT,
        headers: dict[str, str] | None = None,
        timeout: float = 5.0,
        **body: Any,
    ) -> requests.Response:
        """Send one request; the prompt is a new one unless given."""
        prompt = prompt or f"prompt {next(_NUMBERS)}"
        whole: dict[str, Any] = {"model": self.model}
        if path == CHAT:
            whole["messages"] = [{"role": "user", "content": prompt}]
        else:
            whole["input"] = prompt
        return self.session.post(
            self.simulator.base_url + path,
            json=whole | body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        )

    def text(self, prompt: str = "", **body: Any) -> Any:
        """What the model says."""
        return self.ask(prompt, **body).json()["choices"][0]["message"]["content"]

    def stats(self) -> Any:
        """The counters."""
        return requests.get(f"{self.simulator.control_url}/stats").json()

    def ledger(self) -> list[dict[str, Any]]:
        """Every line about this test's model."""
        lines = read_ledger(self.ledger_path)
        return [line for line in lines if line["model"] == self.model]

    def last_line(self) -> dict[str, Any]:
        """The newest line, whatever its model."""
        line = self.ledger_path.read_text().splitlines()[-1]
        parsed: dict[str, Any] = json.loads(line)
        return parsed
