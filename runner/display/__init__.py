"""What does a person see? Progress, tables, closing words; nothing is decided here.

Reads records only. Importing it loads rich (0.07 s): commands that print JSON, and
`--help`, do without. Floor: display. The one door to rich.
"""

from runner.display.announcing import (
    Announcement,
    announced,
    planned,
    rules_words,
    unresolved_words,
    worst_words,
)
from runner.display.closing import closing_text
from runner.display.outlet import outlet
from runner.display.painting import print_status
from runner.display.screen import Screen
from runner.display.story import print_story
from runner.display.summing import print_summary
from runner.display.watching import watch
from runner.display.wording import count

__all__ = [
    "Announcement",
    "Screen",
    "announced",
    "closing_text",
    "count",
    "outlet",
    "planned",
    "print_status",
    "print_story",
    "print_summary",
    "rules_words",
    "unresolved_words",
    "watch",
    "worst_words",
]
