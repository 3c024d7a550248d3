"""The checksums of all buffers from one save to the next: only what changed is summed again."""

from collections.abc import Sequence

from rlx_snapshot._format.digests import chunk_digests, digest_of
from rlx_snapshot._format.layout import CHUNK
from rlx_snapshot._format.seal import payloads
from rlx_snapshot._saving.arena import Copied
from rlx_snapshot._saving.dirty_pages import Range


class ChunkSums:
    """Remembers a checksum for every MiB of the buffers last seen."""

    def __init__(self) -> None:
        self._known: list[tuple[int, list[int]]] = []

    def of(self, copied: Copied) -> list[int]:
        """The checksums of all buffers, in order."""
        views = payloads(copied.captured)
        known, self._known = self._known, []
        if [length for length, _ in known] != [view.nbytes for view in views]:
            known = [(view.nbytes, list(chunk_digests(view))) for view in views]
        else:
            for (_, digests), view, changed in zip(known, views, copied.changed, strict=True):
                for chunk in _touched(changed):
                    digests[chunk] = digest_of(view[chunk * CHUNK : (chunk + 1) * CHUNK])
        self._known = known
        return [digest for _, digests in known for digest in digests]


def _touched(changed: Sequence[Range]) -> set[int]:
    return {chunk for first, last in changed for chunk in range(first // CHUNK, (last - 1) // CHUNK + 1)}
