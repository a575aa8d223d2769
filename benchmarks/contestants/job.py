"""What every contestant is told, and how it hands in its answers.

Standard library only: it is imported in each contestant's own environment.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any, TextIO

MODEL = "bench"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Items, the file for the answers, and the speed; zero is no limit."""

    items: list[dict[str, str]]
    out: Path
    in_flight: int
    rpm: int
    tpm: int
    output_tokens: int


def job() -> Job:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("items", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--rpm", type=int, default=0)
    parser.add_argument("--tpm", type=int, default=0)
    parser.add_argument("--output-tokens", type=int, required=True)
    words = parser.parse_args()
    return Job(
        items=[json.loads(line) for line in words.items.read_text().splitlines()],
        out=words.out,
        in_flight=words.in_flight,
        rpm=words.rpm,
        tpm=words.tpm,
        output_tokens=words.output_tokens,
    )


def messages(item: dict[str, str]) -> list[Any]:
    """Return the item's messages, as the chat endpoint has them."""
    return [{"role": "user", "content": item["prompt"]}]


def write(file: TextIO, item: dict[str, str], response: str | None) -> None:
    """Write one answer, or that there is none."""
    file.write(json.dumps({"id": item["id"], "response": response}) + "\n")
