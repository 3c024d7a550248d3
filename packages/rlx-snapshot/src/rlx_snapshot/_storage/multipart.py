"""Uploads to S3 in parts: what the file before holds already is copied by the server and does not travel again."""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import xxhash

MiB: Final = 1 << 20
PART: Final = 8 * MiB
"""What is compared; a part of S3 that is not the last has 5 MiB at least."""
_TRAVELS: Final = 4 * PART
"""The most that is read into memory for one request."""
_COPIED: Final = 4 << 30
"""The most that is copied by one request; S3 allows 5 GiB."""
_PARTS: Final = 10_000
"""How many parts S3 allows."""
_AT_ONCE: Final = 4


class Span(NamedTuple):
    """One part of an upload, from `start` to before `stop`; `held` if the object before has it at the same place."""

    start: int
    stop: int
    held: bool


class _Object(NamedTuple):
    """What was uploaded, and a digest of each `part` bytes of it."""

    path: str
    tag: str
    part: int
    digests: Sequence[bytes]


class MultipartUploads:
    """Uploads files, one after the other, that differ little from each other.

    The first one travels whole, later ones as far as they differ from the one before at the same place. An object
    that somebody else has replaced or removed since is not copied from. What fails leaves nothing behind: neither
    a part nor a change of the object that was there.
    """

    def __init__(self) -> None:
        self._before: _Object | None = None

    def upload(self, files: Any, source: Path, target: str) -> None:
        """Bring a file to `target` through `files`, a file system of s3fs."""
        size = source.stat().st_size
        before, self._before = self._before, None  # whatever fails, the next upload is a whole one
        if size <= PART:
            files.put_file(str(source), target)
            return
        part = max(PART, -(-size // (_PARTS * MiB)) * MiB)
        digests = _digests(source, part)
        new = _Object(target, "", part, digests)
        spans = list(
            spans_of(
                digests, size, part, before.digests if before is not None and before.part == part else ()
            )
        )
        if before is not None and any(span.held for span in spans):
            # Whatever a store has against copying, it takes the whole file.
            with contextlib.suppress(Exception):
                self._before = new._replace(tag=_send(files, source, target, spans, before))
                return
            spans = list(spans_of(digests, size, part, ()))
        self._before = new._replace(tag=_send(files, source, target, spans, None))


def spans_of(digests: Sequence[bytes], size: int, part: int, before: Sequence[bytes]) -> Iterator[Span]:
    """Cut a file into spans of parts that the object before has, and such that it has not."""
    held = [index < len(before) and before[index] == digest for index, digest in enumerate(digests)]
    first = 0
    while first < len(held):
        most = max(1, (_COPIED if held[first] else _TRAVELS) // part)
        last = first + 1
        while last < len(held) and held[last] == held[first] and last - first < most:
            last += 1
        yield Span(first * part, min(last * part, size), held[first])
        first = last


def _digests(source: Path, part: int) -> list[bytes]:
    found: list[bytes] = []
    with source.open("rb") as file:
        while data := file.read(part):
            found.append(xxhash.xxh3_128_digest(data))
    return found


def _send(files: Any, source: Path, target: str, spans: Sequence[Span], before: _Object | None) -> str:
    """Upload all spans, those that are held from `before`, and return the tag of the new object."""
    bucket, key, _ = files.split_path(target)
    whole: dict[str, Any] = {"Bucket": bucket, "Key": key}
    whole["UploadId"] = files.call_s3("create_multipart_upload", **whole)["UploadId"]
    try:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rlx-snapshot upload") as pool:
            one = partial(_send_one, files, source, whole, before)
            parts = list(pool.map(one, range(1, len(spans) + 1), spans))
        if before is not None:
            _check_unchanged(files, before)
        done = files.call_s3("complete_multipart_upload", **whole, MultipartUpload={"Parts": parts})
        files.invalidate_cache(target)
    except BaseException:
        with contextlib.suppress(Exception):
            files.call_s3("abort_multipart_upload", **whole)
        raise
    return str(done["ETag"])


def _send_one(
    files: Any, source: Path, whole: dict[str, Any], before: _Object | None, number: int, span: Span
) -> dict[str, Any]:
    if span.held and before is not None:
        bucket, key, _ = files.split_path(before.path)
        answer = files.call_s3(
            "upload_part_copy",
            **whole,
            PartNumber=number,
            CopySource={"Bucket": bucket, "Key": key},
            CopySourceRange=f"bytes={span.start}-{span.stop - 1}",
            CopySourceIfMatch=before.tag,
        )["CopyPartResult"]
    else:
        with source.open("rb") as file:
            file.seek(span.start)
            data = file.read(span.stop - span.start)
        answer = files.call_s3("upload_part", **whole, PartNumber=number, Body=data)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def _check_unchanged(files: Any, before: _Object) -> None:
    """Raise unless the object that was copied from is still the one: not every store minds the condition of a copy."""
    bucket, key, _ = files.split_path(before.path)
    tag = files.call_s3("head_object", Bucket=bucket, Key=key)["ETag"]
    if tag != before.tag:
        raise OSError(
            f"{before.path} was replaced while it was copied from: its tag is {tag}, not {before.tag}"
        )
