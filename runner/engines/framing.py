"""Messages on a pipe: one JSON object a line, ASCII, no pickle.

Floor: the run.
"""

import json

from runner.records import JsonObject


def frame(message: JsonObject) -> bytes:
    """The bytes of one message."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


class Unframer:
    """Turns pieces of a stream back into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[JsonObject]:
        """The messages completed by `piece`."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [json.loads(line) for line in lines]
