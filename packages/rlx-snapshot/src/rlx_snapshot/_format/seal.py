"""What follows the stream: index, checksums and footer, signed if there is a key."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rlx_snapshot._format.digests import chunk_digests, digest_of, digest_of_all
from rlx_snapshot._format.layout import (
    SIGNATURE_BYTES,
    SIGNED,
    Buffer,
    Footer,
    Index,
    pack_footer,
    pack_index,
)
from rlx_snapshot._format.libraries import versions_of
from rlx_snapshot._format.stream import Capture, Part

_COMPUTING: Final = ("numpy", "torch", "jaxlib")
"""Libraries that numbers may come from without a class of theirs in the state."""


def digests_of(captured: Capture) -> list[int]:
    """The checksums of all buffers, in order."""
    return [digest for part in payloads(captured) for digest in chunk_digests(part)]


def payloads(captured: Capture) -> list[memoryview]:
    """The payload of every buffer, in order."""
    return [memoryview(captured.parts[position]) for position in captured.positions]


def trailer(captured: Capture, digests: Sequence[int], iteration: int, key: bytes | None) -> list[Part]:
    """Index and footer for a stream whose buffers have these checksums."""
    index, metadata_length = pack_index(Index(_metadata(captured), captured.buffers, digests))
    footer = Footer(
        stream_length=captured.length,
        index_length=len(index),
        buffer_count=len(captured.buffers),
        structure_digest=digest_of_all(_structure(captured)),
        iteration=iteration,
        flags=0 if key is None else SIGNED,
        metadata_length=metadata_length,
    )
    signature = bytes(SIGNATURE_BYTES)
    if key is not None:
        signature = signature_of([*captured.parts, index, footer.pack()], key)
    return [index, pack_footer(footer, signature, digest_of(index, footer.pack(), signature))]


def signature_of(parts: Iterable[Part], key: bytes) -> bytes:
    """Keyed BLAKE2b of everything that a signature vouches for."""
    import hashlib  # only where there is a key: loading OpenSSL takes milliseconds

    state = hashlib.blake2b(key=hashlib.blake2b(key).digest(), digest_size=SIGNATURE_BYTES)
    for part in parts:
        state.update(part)
    return state.digest()


def signatures_match(first: bytes, second: bytes) -> bool:
    """Compare without telling by the time taken where they differ."""
    import hmac

    return hmac.compare_digest(first, second)


def stretches(buffers: Sequence[Buffer], length: int) -> list[tuple[int, int]]:
    """Start and end of the pieces of a stream of `length` bytes that lie between the payloads."""
    starts = [0, *(buffer.end for buffer in buffers)]
    ends = [*(buffer.offset for buffer in buffers), length]
    return list(zip(starts, ends, strict=True))


def _structure(captured: Capture) -> list[Part]:
    payload_parts = set(captured.positions)
    return [part for number, part in enumerate(captured.parts) if number not in payload_parts]


def _metadata(captured: Capture) -> dict[str, object]:
    named = {module.partition(".")[0] for module, _ in captured.names}
    libraries = versions_of({*named, *(name for name in _COMPUTING if name in sys.modules)})
    return {"python": ".".join(map(str, sys.version_info[:3])), "libraries": libraries}
