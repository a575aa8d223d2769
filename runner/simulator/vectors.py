"""Which vector stands for a text?

Owns embeddings: unit vectors made of a hash, the same for the same text.

Floor: simulator, bottom. Knows wire.
"""

import array
import base64
import hashlib
import math
import sys

from runner.simulator.wire import JsonObject

_DIMENSIONS = {"text-embedding-3-large": 3072}
_USUAL_DIMENSIONS = 1536


def embedding(text: str, body: JsonObject) -> list[float] | str:
    """The vector of a text, as `dimensions` and `encoding_format` ask for it.

    base64 holds little-endian 32-bit floats; it is what OpenAI's SDK asks for.
    """
    usual = _DIMENSIONS.get(body["model"], _USUAL_DIMENSIONS)
    vector = _unit_vector(text, body.get("dimensions") or usual)
    if body.get("encoding_format") == "base64":
        if sys.byteorder == "big":
            vector.byteswap()
        return base64.b64encode(vector.tobytes()).decode()
    return vector.tolist()


def _unit_vector(text: str, dimensions: int) -> "array.array[float]":
    seed = text.encode("utf-8", "surrogatepass")
    numbers = array.array("H", hashlib.shake_128(seed).digest(2 * dimensions))
    centred = [number - 32767.5 for number in numbers]
    length = math.sqrt(math.fsum(number * number for number in centred))
    return array.array("f", [number / length for number in centred])
