"""How a torture is told what to do, and what it says in the end."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What every torture takes."""

    rounds: int
    seed: int
    folder: Path

    @classmethod
    def read(
        cls,
        doc: str | None,
        *,
        rounds: int,
        rounds_help: str | None = None,
        more: tuple[str, ...] = (),
    ) -> "Options":
        """From the command line."""
        parser = argparse.ArgumentParser(description=doc)
        parser.add_argument("--rounds", type=int, default=rounds, help=rounds_help)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--folder", type=Path, help="stays; must not exist")
        for switch in more:
            parser.add_argument(switch, action="store_true")
        given = parser.parse_args()
        folder = given.folder or Path(tempfile.mkdtemp(prefix="torture-"))
        return cls(given.rounds, given.seed, folder)


def told(what: str, broken: list[str], **figures: object) -> int:
    """Print the closing line; the exit code."""
    words = " ".join(f"{name}={value}" for name, value in figures.items())
    verdict = f"{len(broken)} BROKEN: {broken[0][:200]}" if broken else "held"
    print(f"{what}: {words}: {verdict}")  # noqa: T201
    return int(bool(broken))
