"""May these three files be written?

Asked before anything is spent, so that a night's answers do not end at a typing
error. A target is ours to replace only if this run wrote it as it is now.
Must not know what goes into the files.

Floor: the run. Knows errors.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.config import Output
from runner.errors import OutputError
from runner.records import JsonObject
from runner.run_folder import MANIFEST, SHARDS

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_OTHER_FILE = "name another file with --out"


def check_targets(
    output: Output, *, inputs: Sequence[Path], written: Mapping[str, JsonObject]
) -> None:
    """Refuse targets that must not or cannot be written; raises OutputError.

    Args:
        output: The three targets; `overwrite` allows files of somebody else.
        inputs: What the run reads: never a target, whatever its name there.
        written: What this run wrote before, as `export` told it. While files are
            replaced, a file may also be as its entry's `before` says.
    """
    targets = _targets(output)
    for target in targets:
        _refuse_inputs(target, inputs)
        _refuse_state(target)
        _refuse_irregular(target)
        _refuse_unwritable_folder(target)
    _refuse_twins(targets)
    if output.overwrite:
        return
    for target in targets:
        if target.exists() and not _as_written(target, written.get(_key(target))):
            raise OutputError(
                f"{target} exists, and is not as this run wrote it",
                "move it away, or see --out and --overwrite of `runner start` and"
                " `runner export`",
            )


def full_paths(output: Output) -> dict[str, Path]:
    """The three targets by their full paths, however their folders are spelled."""
    return {_key(target): target for target in _targets(output)}


def ours_now(
    output: Output, written: Mapping[str, JsonObject]
) -> dict[str, JsonObject]:
    """What this run wrote of what stands there now, by full path, as it was noted."""
    paths = full_paths(output).items()
    found = {key: _as_written(path, written.get(key)) for key, path in paths}
    return {key: each for key, each in found.items() if each is not None}


def _targets(output: Output) -> tuple[Path, Path, Path]:
    return output.processed_path, output.failed_path, output.summary_path


def _refuse_inputs(target: Path, inputs: Sequence[Path]) -> None:
    # By device and inode, so that symbolic and hard links are seen through.
    for path in inputs:
        if _is_same_file(target, path):
            raise OutputError(f"{target} is read by this run ({path})", _OTHER_FILE)


def _refuse_state(target: Path) -> None:
    folder = target.parent.resolve()
    is_shard = folder.name.startswith(SHARDS)
    if (folder / MANIFEST).exists() or (
        is_shard and (folder.parent / MANIFEST).exists()
    ):
        raise OutputError(f"{target} is inside the state of a run", _OTHER_FILE)


def _refuse_irregular(target: Path) -> None:
    mode = _mode(target)
    if mode is None or stat.S_ISREG(mode):
        return
    # A rename would put a plain file in the place of a device or a link.
    what = _KINDS.get(stat.S_IFMT(mode), "not a file")
    hint = "name the file it points to" if stat.S_ISLNK(mode) else _OTHER_FILE
    raise OutputError(f"{target} is {what}, not a plain file", hint)


def _refuse_unwritable_folder(target: Path) -> None:
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(
            f"the folder of {target} does not exist",
            f"create it (mkdir -p {folder}), or {_OTHER_FILE}",
        )
    # Tried, not asked for: permissions say nothing of read-only and immutable
    # folders to root, of quotas, or of names that are too long.
    thread = threading.get_native_id()  # unique in the system: many may try at once
    probe = target.with_name(f".{target.name}.{thread}.try")
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written ({error.strerror or error})",
            f"mend the folder, or {_OTHER_FILE}",
        ) from error


def _refuse_twins(targets: tuple[Path, ...]) -> None:
    for at, target in enumerate(targets):
        for other in targets[:at]:
            if _key(target) == _key(other) or _is_same_file(target, other):
                raise OutputError(
                    f"{target} is two of the three output files at once", _OTHER_FILE
                )


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(one, error) from error


def _as_written(target: Path, known: JsonObject | None) -> JsonObject | None:
    """What the file was when this run wrote it; None if it is not that any more."""
    for each in (known, (known or {}).get("before")):
        if each and target.exists() and _is_as(target, each):
            return {name: each[name] for name in each if name != "before"}
    return None


def _is_as(target: Path, known: JsonObject) -> bool:
    found = target.stat()
    if found.st_size != known["bytes"]:
        return False
    if found.st_mtime_ns == known["mtime_ns"]:
        return True
    # A file that was copied or touched is still ours.
    return bool(_sha256_of(target) == known["sha256"])


def _sha256_of(target: Path) -> str:
    try:
        with target.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(target, error) from error


def _key(target: Path) -> str:
    return str(target.parent.resolve() / target.name)


def _mode(target: Path) -> int | None:
    try:
        return target.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(target, error) from error


def _unreadable(target: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{target} cannot be looked at ({error.strerror or error})", _OTHER_FILE
    )
