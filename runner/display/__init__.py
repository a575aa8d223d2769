"""What does a person see? Progress, tables, closing words; nothing is decided here.

    facts      what there is to say of a run, for every face
    announcing before anything is sent     closing    when a session ends early
    summing    when it has finished        bill       requests, tokens, dollars
    screen     progress, never waited for  live       to somebody at the terminal
    lines      to a log or a pipe          watching   from another terminal
    doing      around the asking           story      one item
    painting   lines become a table        overview   all runs, a line each
    outlet     written, whoever reads

Reads records only. Importing it loads rich (0.07 s): commands that print JSON, and
`--help`, do without.

Floor: faces. The one door to rich.
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
from runner.display.outlet import note, outlet, tell
from runner.display.overview import print_overview
from runner.display.painting import print_status
from runner.display.screen import Screen
from runner.display.story import print_story
from runner.display.summing import print_summary
from runner.display.watching import watch

__all__ = [
    "Announcement",
    "Screen",
    "announced",
    "closing_text",
    "note",
    "outlet",
    "planned",
    "print_overview",
    "print_status",
    "print_story",
    "print_summary",
    "rules_words",
    "tell",
    "unresolved_words",
    "watch",
    "worst_words",
]
