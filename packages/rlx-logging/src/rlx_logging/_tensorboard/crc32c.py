"""The checksum of TensorBoard's files, from a C library where there is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias

Checksum: TypeAlias = Callable[[bytes | memoryview], int]
_POLYNOMIAL: Final = 0x82F63B78
_KNOWN: Final = (b"123456789", 0xE3069283)  # the check value of CRC-32C (Castagnoli)


@cache
def fastest_crc32c() -> Checksum:
    """Return the C library's checksum, if it is there and gives the known check value."""
    try:
        from crc32c import crc32c
    except ImportError:
        return python_crc32c
    return crc32c if crc32c(_KNOWN[0]) == _KNOWN[1] else python_crc32c


@cache
def _table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


def python_crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of `data`, a byte at a time."""
    table = _table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def mask(crc: int) -> int:
    """Return a checksum as TFRecord stores it: rotated and shifted, so that it is no checksum of itself."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
