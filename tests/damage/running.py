"""One seed: one mishap, then every look; `python -m damage 2000` from `tests`."""

import collections
import functools
import gc
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from damage.looks import LOOKS, exported, sound, survey
from damage.mutations import MUTATIONS, Mishap
from damage.originals import Original, finished, killed
from runner.checkpoint.anew import load_due
from runner.checkpoint.manifest import Manifest
from runner.errors import RunnerError, StateError
from runner.session.salvaging import salvage_run
from runner.session.verifying import verify_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the looks made of one seed."""

    seed: int
    mutation: str
    refused: tuple[str, ...]
    wrong: tuple[str, ...]
    """What was neither as before nor refused."""


class Workshop:
    """The two originals, and room to break copies of them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._originals = (finished(home), killed(home))
        self._expected = {
            original.name: {
                name: look(self._copied(original)) for name, look in LOOKS.items()
            }
            for original in self._originals
        }
        for original in self._originals:
            assert sound(self._copied(original)), original.name

    def try_seed(self, seed: int, *, salvages: bool = True) -> Seen:
        """Break a copy, look at it, compare; salvage what is refused."""
        original = self._originals[seed % 2]
        folder = self._copied(original)
        mutation = MUTATIONS[(seed // 2) % len(MUTATIONS)]
        mishap = Mishap(folder, original, self._originals[1 - seed % 2], seed)
        mutation(mishap)
        is_rescue_lost = original.name == "killed" and any(
            rescue_bytes(folder, slot) < rescue_bytes(original.folder, slot)
            for slot in (1, 2)
        )
        refused: list[str] = []
        wrong: list[str] = []
        is_sound = self._look("verify", lambda: sound(folder), True, refused, wrong)
        for name, look in LOOKS.items():
            expected = self._expected[original.name][name]
            self._look(name, functools.partial(look, folder), expected, refused, wrong)
        if is_rescue_lost:
            wrong = [w for w in wrong if not is_unresolved_instead(w)]
        if is_sound is True and refused:
            wrong.append(f"verify says sound, but {refused} refuse")
        if salvages and refused and not is_rescue_lost:
            wrong += self._salvaged(folder, self._expected[original.name])
        if mishap.canary.exists():
            wrong.append("a pickle was executed")
        return Seen(
            seed=seed,
            mutation=mutation.__name__,
            refused=tuple(refused),
            wrong=tuple(wrong),
        )

    def _salvaged(self, folder: Path, expected: dict[str, Any]) -> list[str]:
        """What is wrong with what a salvage makes of it; a refusal is not."""
        gc.collect()  # connections that a refusal left behind
        before = digest_of(folder)
        try:
            made = salvage_run(folder)
        except StateError:
            return []  # its manifest is lost
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no refusal
            return [f"salvage: {error!r}"]
        wrong = [] if digest_of(folder) == before else ["salvage touched its source"]
        if not sound(made.folder):
            wrong.append(f"salvaged: {verify_run(made.folder).damage}")
        lines = b"".join(expected["export"]).splitlines()
        new = b"".join(exported(made.folder)).splitlines()
        strange = [line for line in new if line not in lines and not is_rejudged(line)]
        if strange:
            wrong.append(f"salvaged: {len(strange)} lines differ")
        asked = {row for row, past in survey(made.folder) if not is_judged_only(past)}
        free = {row for row, past in expected["survey"] if not is_judged_only(past)}
        held = load_due(made.folder, Manifest.load(made.folder).held_back)
        if paid := asked - free - set(held):
            wrong.append(f"salvaged: {sorted(paid)} would be paid again")
        return wrong

    def _look(
        self, name: str, look: Any, expected: Any, refused: list[str], wrong: list[str]
    ) -> Any:
        try:
            found = look()
        except StateError:
            refused.append(name)
            return None
        except RunnerError as error:
            wrong.append(f"{name}: exit {error.exit_code}: {error}")
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no refusal
            wrong.append(f"{name}: {error!r}")
            return None
        if name == "verify":
            return found
        if found != expected:
            wrong.append(f"{name}: not as before")
        return found

    def _copied(self, original: Original) -> Path:
        at = self._home / "broken"
        shutil.rmtree(at, ignore_errors=True)
        at.mkdir()
        return Path(shutil.copytree(original.folder, at / original.name))


def digest_of(folder: Path) -> str:
    """Over all files of a folder, but for the -shm, an index of the -wal, and locks."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(("-shm", ".lock")):
            total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def is_judged_only(past: Any) -> bool:
    """A reply is there: nothing is sent before it is judged."""
    return bool(past and past["unjudged"])


def is_rejudged(line: bytes) -> bool:
    """Where the rejudgement is lost, the verdict before it counts again."""
    return int(json.loads(line)["id"].rpartition("-")[2]) % 13 == 12


def rescue_bytes(folder: Path, slot: int) -> int:
    """How long a rescue file is."""
    path = folder / f"shard-0{slot}" / "rescue.bin"
    return path.stat().st_size if path.exists() else 0


def is_unresolved_instead(wrong: str) -> bool:
    """A rescue file that is gone: its answers count as unresolved, and are named."""
    return wrong.endswith("not as before")


def seeds(workshop: Workshop, many: int) -> Iterator[Seen]:
    """One after the other."""
    return (workshop.try_seed(seed) for seed in range(many))


def main(words: list[str]) -> int:
    """Try so many seeds; 1 if anything wrong came out."""
    many = int(words[0]) if words else 2_000
    with tempfile.TemporaryDirectory() as home:
        os.environ["XDG_STATE_HOME"] = f"{home}/xdg"
        workshop = Workshop(Path(home))
        refused: collections.Counter[str] = collections.Counter()
        tried: collections.Counter[str] = collections.Counter()
        wrong = 0
        for seen in seeds(workshop, many):
            tried[seen.mutation] += 1
            refused[seen.mutation] += bool(seen.refused)
            for each in seen.wrong:
                wrong += 1
                sys.stdout.write(f"seed {seen.seed} {seen.mutation}: {each}\n")
        for name, times in sorted(tried.items()):
            sys.stdout.write(f"{name:18} {times:5} tried {refused[name]:5} refused\n")
        sys.stdout.write(f"{many} seeds: {wrong} wrong\n")
    return bool(wrong)
