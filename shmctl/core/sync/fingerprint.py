"""A hash of the bytes of a range, without a mapping: a load would allocate its holes."""

import os
from collections.abc import Iterator
from hashlib import blake2b

from shmctl.core import transfer
from shmctl.core.errors import ShmError, failing_as
from shmctl.core.objects.open import OpenObject
from shmctl.core.posix import PAGE_SIZE
from shmctl.core.transfer import CHUNK

_ZEROS = bytes(CHUNK)


def fingerprint(target: OpenObject, offset: int, length: int) -> bytes:
    """Hash ``length`` bytes at ``offset``, in the time that the data takes, however long the holes are.

    Of a large range each page counts with its offset, unless it is all zeros, which a hole is as well.
    """
    digest = blake2b()
    if length <= CHUNK:
        digest.update(_pread(target, offset, length))
        return digest.digest()
    for start, size, is_data in transfer.extents(target.fd, offset, length, target.name):
        if is_data:
            for page_offset, page in _pages(target, start, start + size):
                digest.update(page_offset.to_bytes(8, "little") + page)
    return digest.digest()


def _pages(target: OpenObject, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The pages between two offsets, each with its own, but for those of zeros."""
    while begin < end:
        # From one multiple of CHUNK to the next: no page lies in two of them.
        chunk = _pread(target, begin, min(end, (begin // CHUNK + 1) * CHUNK) - begin)
        if not chunk:  # it has been shrunk
            return
        if chunk != _ZEROS[: len(chunk)]:
            for start in range(begin // PAGE_SIZE * PAGE_SIZE, begin + len(chunk), PAGE_SIZE):
                page = chunk[max(0, start - begin) : start - begin + PAGE_SIZE]
                if page != _ZEROS[: len(page)]:
                    yield start, page
        begin += len(chunk)


def _pread(target: OpenObject, offset: int, length: int) -> bytes:
    """pread(2), which is no news to a trace as often as it is asked here."""
    with failing_as("pread", target.name, ShmError):
        return os.pread(target.fd, length, offset)
