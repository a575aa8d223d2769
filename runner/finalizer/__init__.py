"""The three files a run ends in: processed, failed, summary.

    exporting  all three at once               targets     may they be written
    lineorder  which outcome is whose          linefile    whole or not at all
    formats    what each format needs          itemlines   items with their answers
    batchlines as OpenAI's Batch API has it    answerlines answers without their items
    sessions   what each start and resume added

`check_targets` before anything is spent, `export` at any time. What it tells before it
replaces a file, and `ours_now`, let the next export know its own files from others'.

Floor: the run. Knows checkpoint and itemfile, and asks nobody anything.
"""

from runner.finalizer.exporting import export
from runner.finalizer.targets import check_targets, full_paths, ours_now

__all__ = ["check_targets", "export", "full_paths", "ours_now"]
