"""Checksums: xxh3, which runs at the speed of memory."""

from collections.abc import Iterable, Iterator

import xxhash

from rlx_snapshot._format.layout import CHUNK


def digest_of(*parts: bytes | memoryview) -> int:
    """One checksum of all `parts` in order."""
    return digest_of_all(parts)


def digest_of_all(parts: Iterable[bytes | memoryview]) -> int:
    """One checksum of all `parts` in order."""
    state = xxhash.xxh3_64()
    for part in parts:
        state.update(part)
    return state.intdigest()


def chunk_digests(payload: memoryview) -> Iterator[int]:
    """A checksum of each MiB of `payload`, the last one of what is left."""
    for start in range(0, len(payload), CHUNK):
        yield xxhash.xxh3_64_intdigest(payload[start : start + CHUNK])
