"""Which item is this?

Owns ids (the user's own, or one made from the bytes), their digests and the
fingerprint of an item's bytes. The JSON type is part of an id: 1, "1", 1.0 and
true are four ids, and NFC and NFD spellings are two.
Must not know files or rows.

Floor: doors and rules. Knows records.
"""

import json
from hashlib import blake2b

from runner.itemfile.diagnosis import BadLine
from runner.itemfile.text import shown
from runner.records import JsonObject, JsonScalar

DIGEST_BYTES = 16
MAX_ID_BYTES = 512
"""UTF-8 bytes of an id as text."""
_USUAL_FIELDS = ("custom_id", "id")


def id_digest(item_id: JsonScalar) -> bytes:
    """16 bytes over the id, its JSON type included."""
    return blake2b(_tagged(item_id), digest_size=DIGEST_BYTES).digest()


def fingerprint_of(raw: bytes) -> bytes:
    """16 bytes over an item's own bytes."""
    return blake2b(raw, digest_size=DIGEST_BYTES).digest()


def made_digest(fingerprint: bytes, occurrence: int) -> bytes:
    """The id digest of an item without an id: its bytes, and which copy it is.

    `occurrence` counts equal items from 0. The id itself is `made_id` of this.
    """
    copy = b"n" + fingerprint + occurrence.to_bytes(8, "little")
    return blake2b(copy, digest_size=DIGEST_BYTES).digest()


def made_id(digest: bytes) -> str:
    """The id of an item that came without one: 32 hexadecimal digits."""
    return digest.hex()


def own_id(fields: JsonObject, id_field: str | None) -> JsonScalar | None:
    """The id the user gave, from `id_field`, else `custom_id`, else `id`.

    None when there is none. Raises BadLine when `id_field` is missing, or when
    the id is null, a list, an object or too long.
    """
    name = id_field if id_field is not None else _usual_field(fields)
    if name is None:
        return None
    if name not in fields:
        raise BadLine(
            f'no "{shown(name)}"', "name a field that all items have with --id-field"
        )
    return _usable(fields[name], name)


def possible_digests(text: str) -> tuple[bytes, ...]:
    """What a person may mean who types `text` for an id, likeliest first.

    The string itself, a number or boolean spelled so, or an id made for an item
    that came without one.
    """
    digests = [id_digest(text)]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None  # no JSON: then it can only be a string
    if isinstance(value, int | float):
        digests.append(id_digest(value))
    if len(text) == 2 * DIGEST_BYTES and not set(text) - set("0123456789abcdef"):
        digests.append(bytes.fromhex(text))
    return tuple(digests)


def _tagged(item_id: JsonScalar) -> bytes:
    if isinstance(item_id, str):
        # surrogatepass: a command line may hold what no items file can.
        return b"s" + item_id.encode("utf-8", "surrogatepass")
    if isinstance(item_id, bool):
        return b"b1" if item_id else b"b0"
    if isinstance(item_id, int):
        return b"i%d" % item_id
    return b"f" + repr(item_id).encode()


def _usual_field(fields: JsonObject) -> str | None:
    for name in _USUAL_FIELDS:
        if name in fields:
            return name
    return None


def _usable(value: object, name: str) -> JsonScalar:
    if not isinstance(value, str | int | float):
        kind = {type(None): "null", list: "a list"}.get(type(value), "an object")
        raise BadLine(
            f'the id in "{shown(name)}" is {kind}',
            "make it a string or a number, or name another field with --id-field",
        )
    # No character has more than 4 bytes: counting bytes is rarely needed.
    text = value if isinstance(value, str) else str(value)
    if len(text) * 4 > MAX_ID_BYTES and len(text.encode()) > MAX_ID_BYTES:
        raise BadLine(
            f'the id in "{shown(name)}" is longer than {MAX_ID_BYTES} bytes',
            "name a shorter field with --id-field",
        )
    return value
