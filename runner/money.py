"""Exact money, whatever user code makes of the decimal module.

A task file may set the precision of its thread, or of all threads that begin later
(`decimal.DefaultContext`): sums of dollars would be rounded with it, and a cap passed.

Floor: words. Knows nobody.
"""

import decimal
from contextlib import AbstractContextManager

_DIGITS = 28
"""Python's own default: a billion dollars to 10**-19 of one."""


def count_exactly() -> None:
    """Have this thread add up money as if no user code had been there."""
    traps = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
    decimal.setcontext(decimal.Context(prec=_DIGITS, traps=traps))


def users_own() -> AbstractContextManager[object]:
    """What user code sets in here is forgotten at the end of the block."""
    return decimal.localcontext()
