"""The layout of a snapshot file, byte for byte; `docs/snapshot-format.md` says it in words.

```
head      PROTO 5, the magic as a bytes constant, POP
stream    the rest of an ordinary pickle; large buffers start at page boundaries
index     metadata, one record per buffer, one checksum per MiB of every buffer
footer    96 bytes: lengths, checksums, iteration, signature, the magic again
```
`pickle.load` stops after the stream and never sees index and footer.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

VERSION: Final = 1
PAGE: Final = 4096
CHUNK: Final = 1 << 20
NO_ITERATION: Final = (1 << 64) - 1

_MAGIC: Final = b"\x89RLX\r\n\x1a"
MARK: Final = _MAGIC + bytes([VERSION])
HEAD: Final = b"\x80\x05C\x08" + MARK + b"0"
_MAGIC_AT: Final = 4

_FIELDS: Final = struct.Struct("<QQQQQLL")
_RECORD: Final = struct.Struct("<QQQQ")
SIGNATURE_BYTES: Final = 32
FOOTER_BYTES: Final = _FIELDS.size + SIGNATURE_BYTES + 8 + len(MARK)
_READONLY: Final = 1
SIGNED: Final = 1
_NEXT_BUFFER, _READONLY_BUFFER = b"\x97", b"\x98"


class Buffer(NamedTuple):
    """A large buffer of the stream.

    Between `gap`, where the stream before it ends, and `offset` stand padding
    and the opcode that introduces the payload.
    """

    gap: int
    offset: int
    length: int
    readonly: bool

    @property
    def end(self) -> int:
        """Offset of the first byte after the payload."""
        return self.offset + self.length

    @property
    def chunks(self) -> int:
        """How many checksums cover the payload."""
        return -(-self.length // CHUNK)


def next_buffer(buffer: Buffer) -> bytes:
    """The opcodes that take a buffer from beside the pickle."""
    return _NEXT_BUFFER + _READONLY_BUFFER if buffer.readonly else _NEXT_BUFFER


class Footer(NamedTuple):
    """The numbers at the very end of the file."""

    stream_length: int
    index_length: int
    buffer_count: int
    structure_digest: int
    iteration: int
    flags: int
    metadata_length: int

    def pack(self) -> bytes:
        """The fields as bytes, as they are signed and checksummed."""
        return _FIELDS.pack(*self)


class Index(NamedTuple):
    """What lies between stream and footer."""

    metadata: Mapping[str, Any]
    buffers: Sequence[Buffer]
    digests: Sequence[int]


def pack_index(index: Index) -> tuple[bytes, int]:
    """The index as bytes, and the length of the metadata at its start."""
    import json  # not at the top, as importing it takes a millisecond

    metadata = json.dumps(index.metadata, sort_keys=True, separators=(",", ":")).encode()
    records = b"".join(_RECORD.pack(b.gap, b.offset, b.length, b.readonly * _READONLY) for b in index.buffers)
    digests = struct.pack(f"<{len(index.digests)}Q", *index.digests)
    return metadata + bytes(-len(metadata) % 8) + records + digests, len(metadata)


def unpack_index(data: bytes, footer: Footer) -> Index:
    """Read an index whose checksum is right; ValueError or struct.error where it makes no sense."""
    import json

    metadata: Mapping[str, Any] = json.loads(data[: footer.metadata_length])
    records_at = footer.metadata_length + -footer.metadata_length % 8
    digests_at = records_at + footer.buffer_count * _RECORD.size
    records = _RECORD.iter_unpack(data[records_at:digests_at])
    buffers = [Buffer(gap, offset, length, bool(flags & _READONLY)) for gap, offset, length, flags in records]
    digests = struct.unpack(f"<{sum(buffer.chunks for buffer in buffers)}Q", data[digests_at:])
    return Index(metadata, buffers, digests)


def unpack_footer(data: bytes) -> tuple[Footer, bytes, int]:
    """The fields, the signature and the checksum of index and footer."""
    fields = Footer._make(_FIELDS.unpack_from(data))
    signature = data[_FIELDS.size : _FIELDS.size + SIGNATURE_BYTES]
    (digest,) = struct.unpack_from("<Q", data, _FIELDS.size + SIGNATURE_BYTES)
    return fields, signature, digest


def iteration_in_footer(footer: bytes) -> int | None:
    """The iteration that the last bytes of a file name, None where they name none or are not of this version."""
    if len(footer) < FOOTER_BYTES or version_in_footer(footer) != VERSION:
        return None
    iteration = unpack_footer(footer)[0].iteration
    return None if iteration == NO_ITERATION else iteration


def pack_footer(footer: Footer, signature: bytes, digest: int) -> bytes:
    """The last bytes of the file."""
    return footer.pack() + signature + struct.pack("<Q", digest) + MARK


def version_in_head(head: bytes) -> int | None:
    """The format version that the first bytes of a file claim, None for a foreign file."""
    return _version(head[_MAGIC_AT : _MAGIC_AT + len(MARK)]) if head[:_MAGIC_AT] == HEAD[:_MAGIC_AT] else None


def version_in_footer(footer: bytes) -> int | None:
    """The format version that the last bytes of a file claim, None for a foreign file."""
    return _version(footer[-len(MARK) :])


def _version(mark: bytes) -> int | None:
    return mark[-1] if len(mark) == len(MARK) and mark[:-1] == _MAGIC else None
