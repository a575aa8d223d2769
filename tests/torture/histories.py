"""Two histories of one run, written by two programs: the ledger and the checkpoint.

They are joined item by item through the client request id, `<run>-<item>-<attempt>`.
"""

import collections
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.recounting import recount
from runner.records import OutcomeState

Send = tuple[int, int]
"""Item number and attempt."""


@dataclass
class Ledger:
    """What the server saw, by run; reads only what is new."""

    path: Path
    runs: dict[str, dict[Send, dict[str, Any]]] = field(
        default_factory=lambda: collections.defaultdict(dict)
    )
    twice: list[str] = field(default_factory=list)
    """Client request ids that came more than once: there must be none."""
    _offset: int = 0

    def of(self, run_id: str) -> dict[Send, dict[str, Any]]:
        """Every request of that run so far."""
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._add(json.loads(line))
        return self.runs[run_id]

    def _add(self, line: dict[str, Any]) -> None:
        run_id, number, attempt = line["client_request_id"].split("-")
        send = (int(number), int(attempt))
        if send in self.runs[run_id]:
            self.twice.append(line["client_request_id"])
        self.runs[run_id][send] = line


@dataclass(frozen=True)
class Answer:
    """A recorded answer."""

    sha256: str
    request_id: str | None
    is_valid: bool


@dataclass(frozen=True)
class Snapshot:
    """What the checkpoint holds at one moment at which nobody writes."""

    begun: set[Send]
    answers: dict[Send, Answer]
    outcomes: dict[int, tuple[OutcomeState, int]]
    """Item number → state and last attempt."""
    open: set[Send]
    """Unresolved: perhaps billed, to be asked again."""
    open_ever: set[Send]
    answered: int
    """The stored total."""
    recounts: bool
    """Whether the stored totals equal a recount."""

    @classmethod
    def of(cls, run_folder: Path) -> "Snapshot":
        """Read it all."""
        manifest = Manifest.load(run_folder)
        # Like `status` of a run that nobody works on: on a full disk there is no room
        # for the file that a live reader shares with writers.
        reader = RunReader(
            run_folder, manifest.run_id, list(manifest.shards), live=False
        )
        begun, answers, open_ever = set(), {}, set()
        for attempt, body in reader.all_attempts():
            send = (attempt.number, attempt.attempt)
            begun.add(send)
            if attempt.is_answer:
                answers[send] = Answer(
                    hashlib.sha256(body).hexdigest(),
                    attempt.request_id,
                    b'"content":"Echo text ' in body.replace(b'": "', b'":"'),
                )
            elif attempt.state == "open":
                open_ever.add(send)
        totals = reader.totals()
        snapshot = cls(
            begun=begun,
            answers=answers,
            outcomes={
                o.number: (o.state, o.last_attempt) for o, _ in reader.outcomes()
            },
            open={(a.number, a.attempt) for a in reader.unresolved()},
            open_ever=open_ever,
            answered=totals.answered,
            recounts=totals == recount(reader),
        )
        reader.close()
        return snapshot


@dataclass
class Broken:
    """Promises that did not hold, in words; empty: all held."""

    found: list[str] = field(default_factory=list)

    def unless(self, holds: object, what: object) -> None:
        """Note `what` unless `holds`."""
        if not holds:
            self.found.append(str(what))
            print(f"BROKEN: {str(what)[:500]}", flush=True)  # noqa: T201


@dataclass
class Witness:
    """Follows one run from kill to kill, and audits it in the end."""

    run_folder: Path
    ledger: Ledger
    broken: Broken
    before: Snapshot | None = None
    told: set[Send] = field(default_factory=set)
    """What a status named as unresolved, before anything was sent again."""
    kills: int = 0

    @property
    def run_id(self) -> str:
        """Part of every request's id."""
        return Manifest.load(self.run_folder).run_id

    def look(self) -> Snapshot:
        """The checkpoint now; what was recorded before must be there, unchanged."""
        now = Snapshot.of(self.run_folder)
        before = self.before.answers if self.before else {}
        lost = [
            send for send, answer in before.items() if now.answers.get(send) != answer
        ]
        done = self.before.outcomes if self.before else {}
        undone = [number for number in done if number not in now.outcomes]
        where = self.run_folder.name
        self.broken.unless(not lost, f"{where}: answers lost {lost[:5]}")
        self.broken.unless(not undone, f"{where}: outcomes lost {undone[:5]}")
        self.broken.unless(now.recounts, f"{where}: a recount differs")
        self.broken.unless(
            now.answered == len(now.answers), f"{where}: answered differs"
        )
        self.before = now
        return now

    def killed(self, unresolved: int) -> int:
        """Everything was killed; a status told so many unresolved.

        Returns how many of them were not unresolved before: what this kill hit.
        """
        before = self.before.open if self.before else set()
        now = self.look()
        self.told |= now.open
        self.kills += 1
        where = f"{self.run_folder.name}, kill {self.kills}"
        self.broken.unless(
            unresolved == len(now.open), f"{where}: told {unresolved}, are {now.open}"
        )
        return len(now.open - before)

    def audit(self) -> int:
        """Compare both histories; returns how many answers were paid for in vain."""
        now = self.look()
        requests = self.ledger.of(self.run_id)
        where = self.run_folder.name
        unless = self.broken.unless
        unknown = set(requests) - now.begun
        unless(not unknown, f"{where}: sent, not announced: {unknown}")
        unless(not self.ledger.twice, f"{where}: same id twice {self.ledger.twice}")
        for send, answer in now.answers.items():
            line = requests.get(send)
            same = line and (line["answer_sha256"], line["request_id"]) == (
                answer.sha256,
                answer.request_id,
            )
            unless(same, f"{where}: {send} is not what was sent: {line}, {answer}")
            is_last = (send[0], send[1] + 1) not in requests
            unless(
                is_last or not answer.is_valid, f"{where}: {send} valid, asked again"
            )
        for number, (_, last_attempt) in now.outcomes.items():
            unless(
                (number, last_attempt + 1) not in requests,
                f"{where}: item {number} asked after its outcome",
            )
        return self._in_vain(requests, now)

    def _in_vain(self, requests: dict[Send, dict[str, Any]], now: Snapshot) -> int:
        billed = {send for send, line in requests.items() if line["billed"]}
        vain = billed - set(now.answers)
        kept = vain - now.open_ever
        # A billed failure (cut body) is recorded as a failure, none is simulated here.
        self.broken.unless(not kept, f"{self.run_folder.name}: billed, not kept {kept}")
        untold = vain - self.told
        self.broken.unless(
            not untold, f"{self.run_folder.name}: paid in vain, never told {untold}"
        )
        return len(vain)
