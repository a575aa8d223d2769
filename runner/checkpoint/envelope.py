"""How one record becomes bytes, and how altered bytes are refused.

    magic 4 | blake2b 16 over key and payload | payload
    payload = length of the JSON part (u32) | JSON part (ASCII) | body, verbatim

SQLite does not notice a flipped byte inside a value (20 of 20 went unnoticed when
tried), hence the checksum; it covers the key, so that a value moved to another
item's key is refused as well.

Floor: doors and rules.
"""

import hashlib
import json
import struct

from runner.errors import StateDamaged
from runner.records import JsonObject

MAGIC = b"RNR1"
_CHECKSUM_BYTES = 16
_HEAD = len(MAGIC) + _CHECKSUM_BYTES
_LENGTH = struct.Struct("<I")
_DECODER = json.JSONDecoder()
"""`json.loads` looks for encodings and white space, which are not here."""


def seal(key: str, fields: JsonObject, body: bytes = b"") -> bytes:
    """The bytes stored under `key`; `fields` must be strict JSON (no NaN)."""
    head = json.dumps(fields, allow_nan=False, separators=(",", ":")).encode("ascii")
    payload = _LENGTH.pack(len(head)) + head + body
    return MAGIC + _checksum(key, payload) + payload


def unseal(key: str, sealed: object) -> tuple[JsonObject, bytes]:
    """Fields and body of what was stored under `key`; StateDamaged if altered."""
    if not isinstance(key, str) or not key.isascii():
        raise StateDamaged("a record's key was not written by runner")
    if not isinstance(sealed, bytes) or sealed[: len(MAGIC)] != MAGIC:
        raise StateDamaged(f"record {key} was not written by runner")
    payload = sealed[_HEAD:]
    if sealed[len(MAGIC) : _HEAD] != _checksum(key, payload):
        raise StateDamaged(f"record {key} does not match its checksum")
    end = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
    fields: JsonObject = _DECODER.raw_decode(payload[_LENGTH.size : end].decode())[0]
    return fields, payload[end:]


def _checksum(key: str, payload: bytes) -> bytes:
    digest = hashlib.blake2b(key.encode("ascii"), digest_size=_CHECKSUM_BYTES)
    digest.update(payload)
    return digest.digest()
