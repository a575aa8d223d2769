"""What if a server packs its answer although it was asked not to?

Unpacked piece by piece, so that whoever counts the pieces can stop: two megabytes
of gzip can hold two gigabytes. The SDK's HTTP layer would unpack it at once.

Floor: doors and rules. Knows nobody.
"""

import zlib
from collections.abc import Iterator

import httpx2

_PIECE_BYTES = 1 << 20
_AS_THEY_SAY = zlib.MAX_WBITS | 32
"""gzip or zlib, whichever the first bytes show (zlib's manual, inflateInit2)."""
_RAW = -zlib.MAX_WBITS
"""What some servers mean by "deflate", against RFC 9110, 8.4.1.2."""
_PACKINGS = ("gzip", "x-gzip", "deflate")


def unpacked(response: httpx2.Response) -> httpx2.SyncByteStream:
    """Return the body's stream, unpacked; nobody after this unpacks it again.

    Packed in a way that is not known here, it stays as received: no JSON.
    """
    assert isinstance(response.stream, httpx2.SyncByteStream)
    packing = response.headers.pop("content-encoding", "").strip().lower()
    if packing in _PACKINGS:
        return _Unpacked(response.stream, may_be_raw=packing == "deflate")
    return response.stream


class _Unpacked(httpx2.SyncByteStream):
    """A body in pieces of at most 1 MiB; raises httpx2.DecodingError."""

    def __init__(self, stream: httpx2.SyncByteStream, *, may_be_raw: bool) -> None:
        self._stream = stream
        self._may_be_raw = may_be_raw

    def __iter__(self) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(_AS_THEY_SAY)
        is_begun = False
        for chunk in self._stream:
            packed = chunk
            while packed and not unpacker.eof:
                try:
                    piece = unpacker.decompress(packed, _PIECE_BYTES)
                except zlib.error as error:
                    if is_begun or not self._may_be_raw:
                        raise httpx2.DecodingError(str(error)) from error
                    unpacker, is_begun = zlib.decompressobj(_RAW), True
                    continue
                is_begun = True
                packed = unpacker.unconsumed_tail
                yield piece

    def close(self) -> None:
        self._stream.close()
