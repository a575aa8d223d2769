"""Regular expressions that cannot hang a worker.

The one door to `regex`: its `timeout=` ends a search that backtracks for ever,
and it gives other threads the GIL meanwhile (measured: 896 of 980 ticks of a
1 ms ticker during a search that ran into its limit; with `re` none).

Floor: doors and rules.
"""

import regex

from runner.errors import TaskError

TIMEOUT_S = 1.0

Pattern = regex.Pattern[str]


def compiled(pattern: str, source: str) -> Pattern:
    """The pattern, ready to search.

    Args:
        pattern: what the user wrote; syntax of `re`, and more.
        source: names it in messages ("--valid-regex", a schema's path).

    Raises:
        TaskError: naming the position.
    """
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise TaskError(f"{source}: {error} in {pattern!r}") from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise TaskError(f"{source}: too large a pattern: {pattern[:80]!r}") from error


def found_in(pattern: Pattern, text: str) -> bool:
    """Whether the pattern occurs anywhere in the text.

    Raises:
        TimeoutError: after one second.
    """
    return pattern.search(text, timeout=TIMEOUT_S) is not None
