"""What is wrong with a run's state, sorted by kind of damage.

Floor: the run. Pure.
"""

import heapq
from dataclasses import dataclass, field

from runner.api_records import Damage

_SHOWN = 10


class Findings:
    """Takes note of damage, one kind and file a line; knows the first items of each."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], _Kind] = {}

    def note(self, file: str, what: str, do: str, *, number: int | None = None) -> None:
        """Note damage.

        Args:
            file: Where it is, below the run's folder.
            what: What is wrong; alike for all of one kind.
            do: What to do next.
            number: The item it belongs to, where that is known.
        """
        kind = self._kinds.setdefault((file, what, do), _Kind())
        kind.many += 1
        if number is not None:
            kind.numbers = heapq.nsmallest(_SHOWN, {*kind.numbers, number})

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wrong."""
        return not self._kinds

    def damage(self) -> tuple[Damage, ...]:
        """Each kind in each file, as first met."""
        return tuple(
            Damage(file=file, what=what, records=k.many, items=tuple(k.numbers), do=do)
            for (file, what, do), k in self._kinds.items()
        )


@dataclass(slots=True)
class _Kind:
    many: int = 0
    numbers: list[int] = field(default_factory=list)
