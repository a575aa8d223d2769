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
_GZIP_ONLY = zlib.MAX_WBITS | 16
_RAW = -zlib.MAX_WBITS
"""What some servers mean by "deflate", against RFC 9110, 8.4.1.2."""
_GZIP = ("gzip", "x-gzip")
_PACKINGS = (*_GZIP, "deflate")
_NOT_AT_ALL = ("identity", "")


def unpacked(response: httpx2.Response) -> httpx2.SyncByteStream:
    """Return the body's stream, unpacked; nobody after this unpacks it again.

    Packed in a way that is not known here, it stays as received: no JSON.
    """
    assert isinstance(response.stream, httpx2.SyncByteStream)
    said = response.headers.pop("content-encoding", "").lower().split(",")
    packings = [name.strip() for name in said if name.strip() not in _NOT_AT_ALL]
    if len(packings) != 1 or packings[0] not in _PACKINGS:
        return response.stream
    if packings[0] in _GZIP:
        return _Gunzipped(response.stream)
    return _Inflated(response.stream)


class _Inflated(httpx2.SyncByteStream):
    """A body in pieces of at most 1 MiB; raises httpx2.DecodingError."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(_AS_THEY_SAY)
        is_begun = False
        for chunk in self._stream:
            packed = chunk
            while packed and not unpacker.eof:
                try:
                    piece = unpacker.decompress(packed, _PIECE_BYTES)
                except zlib.error as error:
                    if is_begun:
                        raise httpx2.DecodingError(str(error)) from error
                    unpacker, is_begun = zlib.decompressobj(_RAW), True
                    continue
                is_begun = True
                packed = unpacker.unconsumed_tail
                yield piece

    def close(self) -> None:
        self._stream.close()


class _Gunzipped(httpx2.SyncByteStream):
    """The same of gzip, which may come in several members (RFC 1952, 2.2)."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(_AS_THEY_SAY)
        is_first, is_over = True, False
        for chunk in self._stream:
            packed = b"" if is_over else chunk
            while packed:
                if unpacker.eof:
                    unpacker, is_first = zlib.decompressobj(_GZIP_ONLY), False
                try:
                    piece = unpacker.decompress(packed, _PIECE_BYTES)
                except zlib.error as error:
                    if is_first:
                        raise httpx2.DecodingError(str(error)) from error
                    # Whatever stands behind the last member: padding, a line end.
                    is_over = True
                    break
                packed = unpacker.unused_data or unpacker.unconsumed_tail
                if piece:
                    yield piece

    def close(self) -> None:
        self._stream.close()
