"""What is being done before or after the asking: reading items, writing files.

Floor: faces. Pure.
"""

from dataclasses import dataclass

from runner.wording import percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """How far some preparation is; the unit does not matter."""

    what: str
    done: int
    total: int

    @property
    def words(self) -> str:
        """`reading items 48 %`."""
        return f"{self.what} {percent(min(self.done, self.total), self.total)}"
