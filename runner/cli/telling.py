"""What does `runner show` tell of one item?

Floor: faces. Knows api and display.
"""

import dataclasses
import sys
from pathlib import Path

from runner import api, display
from runner.api_records import ItemStory
from runner.cli.bundles import Bodies
from runner.errors import UsageError
from runner.exit_codes import ALL_VALID


def show(words: list[str], bodies: Bodies, state_dir: Path) -> int:
    """Every attempt of an item, or the bytes of one."""
    if len(words) not in (1, 2):
        raise UsageError("show takes [RUN] ITEM", "see `runner show --help`")
    run = api.Run.open(words[0] if len(words) > 1 else None, state_dir)
    story = _narrowed(run.show(words[-1]), bodies.attempt)
    if bodies.raw:
        sys.stdout.buffer.write(_last_body(story))
        sys.stdout.buffer.flush()
    else:
        display.print_story(story, sys.stdout)
    return ALL_VALID


def _narrowed(story: ItemStory, attempt: int | None) -> ItemStory:
    if attempt is None:
        return story
    found = tuple(pair for pair in story.attempts if pair[0].attempt == attempt)
    if not found:
        raise UsageError(
            f"the item has no attempt {attempt}",
            f"it has {len(story.attempts)}, see `runner show` without --attempt",
        )
    return dataclasses.replace(story, attempts=found)


def _last_body(story: ItemStory) -> bytes:
    bodies = [body for _, body in story.attempts if body]
    if not bodies:
        raise UsageError("no bytes were received for this item", "see `runner show`")
    return bodies[-1]
