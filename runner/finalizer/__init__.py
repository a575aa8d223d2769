"""The three files a run ends in: processed, failed, summary.

`check_targets` before anything is spent, `export` at any time, `written_now`
afterwards, so that the next export knows its own files from somebody else's.

Floor: room. Knows checkpoint and itemfile, and asks nobody anything.
"""

from runner.finalizer.exporting import export
from runner.finalizer.targets import check_targets, written_now

__all__ = ["check_targets", "export", "written_now"]
