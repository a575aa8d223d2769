"""What is in items.jsonl?

One pass over the bytes: line by line, what can be an item enters the index and
what cannot is reported with its line number. Accepted + rejected + blank lines
are all lines, always. Must not know what is asked about an item.

Floor: doors and rules. Knows errors and records.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.errors import ItemFileError
from runner.itemfile.batchline import is_batch_line
from runner.itemfile.building import IndexBuilder
from runner.itemfile.diagnosis import BadLine
from runner.itemfile.duplicates import Duplicates
from runner.itemfile.identity import fingerprint_of, id_digest, made_id, own_id
from runner.itemfile.index import ItemIndex
from runner.itemfile.lines import MAX_LINE_BYTES, lines_of
from runner.itemfile.parsing import parse
from runner.itemfile.rejected import RejectedLine, RejectedLines
from runner.itemfile.source import (
    BLOCK_BYTES,
    FileDigest,
    HashedSource,
    changed_while_read,
    line_bound,
    open_items,
)
from runner.itemfile.tables import as_table
from runner.itemfile.text import path_text, shown
from runner.records import Item, JsonObject, JsonScalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass over an items file found."""

    index: ItemIndex
    digest: FileDigest
    rejected: RejectedLines
    lines: int
    blank: int
    copies: int
    """Items without an id whose line stood there before."""


def scan(  # noqa: PLR0913 - three rules of the user's, and four who listen
    path: Path,
    *,
    id_field: str | None,
    result_key: str,
    on_bad_line: str,
    check: Callable[[Item], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    known: ItemIndex | None = None,
    on_rejected: Callable[[RejectedLine], None] | None = None,
) -> Scan:
    """Read the whole file once and index its items.

    Args:
        path: The items file.
        id_field: The user's choice of the field that holds the id.
        result_key: The key the answer will have; no item may have it.
        on_bad_line: "stop": bad lines are an error, told together once the file
            is read. "skip": they are left out.
        check: Called with each item in order; what it raises is not touched.
            Not called any more once something is known to be wrong.
        on_progress: Called with bytes read and bytes in all: before the first line,
            since `check` may take long, then with each percent, at least once a MiB.
        known: The run's previous index: an item with the same id and bytes
            keeps its number.
        on_rejected: Called with each bad line in order.

    Raises:
        ItemFileError: The file or its lines cannot be used.
    """
    skip = on_bad_line == "skip"
    rules = _Rules(id_field=id_field, result_key=result_key, skip=skip)
    with open_items(path) as file:
        builder = IndexBuilder(line_bound(file, path), known)
        source = HashedSource(file, path)
        scanning = _Scanning(path, rules, builder, check, on_rejected)
        progress = _Progress(on_progress, source.size)
        progress.tell(0)
        for number, offset, length, raw in lines_of(source, path):
            scanning.take(number, offset, length, raw)
            if offset >= progress.due:
                progress.tell(offset)
        return scanning.finish(source.digest(), progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    id_field: str | None
    result_key: str
    skip: bool


class _Progress:
    __slots__ = ("_step", "_tell", "_total", "due")

    def __init__(self, tell: Callable[[int, int], None] | None, total: int) -> None:
        self._tell = tell
        self._total = total
        self._step = min(BLOCK_BYTES, total // 100)
        self.due = float("inf")

    def tell(self, done: int) -> None:
        if self._tell:
            self._tell(done, self._total)
            self.due = done + self._step


class _Scanning:
    """One pass: the counts, and the first thing that is wrong of each kind."""

    __slots__ = (
        "_batch",
        "_blank",
        "_builder",
        "_check",
        "_duplicates",
        "_lines",
        "_mixed",
        "_on_rejected",
        "_path",
        "_rejected",
        "_rules",
    )

    def __init__(
        self,
        path: Path,
        rules: _Rules,
        builder: IndexBuilder,
        check: Callable[[Item], None] | None,
        on_rejected: Callable[[RejectedLine], None] | None,
    ) -> None:
        self._path = path
        self._rules = rules
        self._builder = builder
        self._check = check
        self._on_rejected = on_rejected
        self._rejected = RejectedLines()
        self._duplicates = Duplicates()
        self._batch: bool | None = None
        self._mixed: int | None = None
        self._lines = 0
        self._blank = 0

    def take(self, line: int, offset: int, length: int, raw: bytes | None) -> None:
        """Accept or reject one line."""
        self._lines = line
        if raw is not None and not raw.strip(b" \t\r"):
            self._blank += 1
            return
        try:
            fields, item_id = self._read(raw, length)
        except BadLine as bad:
            if raw is not None and not self._rejected.count and not self._builder:
                bad = as_table(raw, self._path.suffix, bad)
            self._reject(line, offset, length, bad)
            return
        self._note_shape(line, is_batch_line(fields))
        assert raw is not None
        self._accept(line, offset, raw, fields, item_id)

    def finish(self, digest: FileDigest, progress: _Progress) -> Scan:
        """Say what is wrong, or what there is."""
        self._raise_what_is_wrong()
        progress.tell(digest.size)
        index = self._builder.index()
        return Scan(
            index=index,
            digest=digest,
            rejected=self._rejected,
            lines=self._lines,
            blank=self._blank,
            copies=self._builder.copies,
        )

    def _read(
        self, raw: bytes | None, length: int
    ) -> tuple[JsonObject, JsonScalar | None]:
        if raw is None:
            raise BadLine(
                f"{length:,} bytes in one line, more than {MAX_LINE_BYTES:,}",
                "split the item",
            )
        fields = parse(raw)
        key = self._rules.result_key
        if key in fields:
            raise BadLine(
                f'the item has a "{shown(key)}" already, where its answer would go',
                "give the answer another name with --result-key",
            )
        return fields, own_id(fields, self._rules.id_field)

    def _reject(self, line: int, offset: int, length: int, bad: BadLine) -> None:
        rejected = RejectedLine(
            line=line, offset=offset, length=length, what=bad.what, hint=bad.hint
        )
        self._rejected.add(rejected)
        if self._on_rejected:
            self._on_rejected(rejected)

    def _note_shape(self, line: int, batch: bool) -> None:  # noqa: FBT001 - private
        if self._batch is None:
            self._batch = batch
        elif self._batch is not batch and self._mixed is None:
            self._mixed = line

    def _accept(
        self,
        line: int,
        offset: int,
        raw: bytes,
        fields: JsonObject,
        item_id: JsonScalar | None,
    ) -> None:
        builder = self._builder
        if builder.is_full:  # more lines than were counted a moment ago
            raise changed_while_read(self._path)
        fingerprint = fingerprint_of(raw)
        if item_id is None:
            digest = builder.made_digest(fingerprint)
        else:
            digest = id_digest(item_id)
        row = builder.add(offset, len(raw), line, digest, fingerprint)
        if row is not None:
            self._duplicates.add(item_id, builder.index().ref(row).line, line)
        elif self._check and not self._is_wrong():
            ref = builder.index().ref(len(builder) - 1)
            item_id = made_id(digest) if item_id is None else item_id
            self._check(Item(ref=ref, item_id=item_id, fields=fields, raw=raw))

    def _is_wrong(self) -> bool:
        if self._mixed or self._duplicates.count:
            return True
        return bool(self._rejected.count) and not self._rules.skip

    def _raise_what_is_wrong(self) -> None:
        accepted = len(self._builder)
        if self._rejected.count and not (self._rules.skip and accepted):
            raise self._rejected.error(self._path, accepted=accepted)
        if not accepted:
            raise ItemFileError(
                f"{path_text(self._path)} holds no items",
                "write one JSON object a line into it",
            )
        if self._mixed:
            raise self._mixture(self._mixed)
        if self._duplicates.count:
            raise self._duplicates.error(self._path)

    def _mixture(self, line: int) -> ItemFileError:
        if self._batch:
            what = "not an OpenAI Batch-API request, as the lines before it are"
        else:
            what = "an OpenAI Batch-API request, as no line before it is"
        return ItemFileError(
            f"{path_text(self._path)}:{line}: {what}",
            "put Batch-API requests (custom_id, method POST, url /v1/..., body) "
            "and other items into files of their own",
        )
