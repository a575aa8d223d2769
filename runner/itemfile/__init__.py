"""What is in items.jsonl: an index of its items, and each item by its row.

    source     the file and its bytes          lines      where each begins and ends
    scanning   all of it, once                 parsing    one line, without loss
    rejected   lines that are no items         diagnosis  why, to mend them
    peek       is it a Batch-API input         batchline  is this item one of those
    tables     is it a CSV file                text       a user's strings in messages
    building   items become an index           index      where each of them is
    layout     one item's record               indexfile  on disk, with checksums
    identity   which item is this              idtable    which row has this id
    duplicates ids that are there twice        difference two versions of a file
    reading    what an item holds

`scan` makes the index, `ItemIndex.save` and `.open` keep it, `ItemReader` reads
items back. Must not know what is asked about an item, or of whom.

Floor: doors and rules. Knows the words only.
"""

from runner.itemfile.batchline import is_batch_line
from runner.itemfile.difference import Difference
from runner.itemfile.identity import (
    fingerprint_of,
    id_digest,
    possible_digests,
)
from runner.itemfile.index import ItemIndex
from runner.itemfile.lines import MAX_LINE_BYTES
from runner.itemfile.parsing import MAX_NESTING
from runner.itemfile.peek import is_batch_file, refuse_nearly_batch
from runner.itemfile.reading import ItemReader
from runner.itemfile.rejected import (
    RejectedFile,
    RejectedLine,
    RejectedLines,
    read_rejected,
)
from runner.itemfile.scanning import Scan, scan
from runner.itemfile.source import FileDigest, digest_of
from runner.itemfile.text import id_text

__all__ = [
    "MAX_LINE_BYTES",
    "MAX_NESTING",
    "Difference",
    "FileDigest",
    "ItemIndex",
    "ItemReader",
    "RejectedFile",
    "RejectedLine",
    "RejectedLines",
    "Scan",
    "digest_of",
    "fingerprint_of",
    "id_digest",
    "id_text",
    "is_batch_file",
    "is_batch_line",
    "possible_digests",
    "read_rejected",
    "refuse_nearly_batch",
    "scan",
]
