"""List the directory: readdir(3) and fstatat(2)."""

import errno
import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from shmctl.core import posix
from shmctl.core.errors import ShmError, failing_as
from shmctl.core.models import DEV_SHM, Directory, ObjectInfo
from shmctl.core.names import Name, NameLike, parse_name

_GLOB_CHARACTERS = re.compile(rb"[*?\[]")


def any_name(name: Name) -> bool:
    """Return true for every name."""
    return True


def scan(directory: Directory = DEV_SHM, matches: Callable[[Name], bool] = any_name) -> Iterator[ObjectInfo]:
    """Yield every entry whose name ``matches``, in no order. Entries that vanish meanwhile are left out."""
    with posix.closing(posix.open_directory(directory), directory.path) as fd:
        with failing_as("readdir", directory.path):
            entries = os.listdir(fd)
        while entries:  # each string goes when its entry comes: there may be very many
            name = Name(b"/" + os.fsencode(entries.pop()))
            if not matches(name):
                continue
            try:
                yield ObjectInfo(name, directory, posix.fstatat(name, fd))
            except ShmError as error:
                if error.errno != errno.ENOENT:
                    raise


def has_vanished(info: ObjectInfo) -> bool:
    """Return whether an entry's name is gone, or is another entry's by now."""
    try:
        return posix.lstat(info.name, info.directory).identity != info.identity
    except ShmError as error:
        return error.errno == errno.ENOENT


def is_pattern(text: NameLike) -> bool:
    """Whether a name has any of the characters ``*``, ``?`` and ``[``."""
    return bool(_GLOB_CHARACTERS.search(os.fsencode(text)))


def matcher(patterns: Sequence[NameLike]) -> Callable[[Name], bool]:
    """A test for names that equal or match any of ``patterns`` (glob(7); ``*`` also matches a leading dot).

    Without a pattern it is `any_name`. Raises InputError for a pattern
    that could never be a name.
    """
    if not patterns:
        return any_name
    names = [parse_name(pattern) for pattern in patterns]
    exact = frozenset(names)
    globs = [fnmatch.translate(os.fsdecode(name)) for name in names if is_pattern(name)]
    if not globs:
        return exact.__contains__
    match_any = re.compile("|".join(globs)).match

    def matches(name: Name) -> bool:
        return name in exact or match_any(os.fsdecode(name)) is not None

    return matches


def select(
    infos: Iterable[ObjectInfo],
    *,
    everything: bool = False,
    kinds: Sequence[str] = (),
    uid: int | None = None,
    larger: int | None = None,
    modified_before: float | None = None,
) -> Iterator[ObjectInfo]:
    """Return the entries that pass every filter.

    Without ``everything`` and without ``kinds`` only objects pass. ``larger``
    is in bytes; ``modified_before`` in seconds since the epoch.
    """
    for info in infos:
        if kinds and info.kind not in kinds:
            continue
        if not (everything or kinds or info.is_object):
            continue
        if uid is not None and info.st.st_uid != uid:
            continue
        if larger is not None and info.size <= larger:
            continue
        if modified_before is not None and info.st.st_mtime_ns >= modified_before * 10**9:
            continue
        yield info


def missing_names(patterns: Sequence[str], found: Iterable[ObjectInfo]) -> list[Name]:
    """Return the plain names among the patterns that do not exist."""
    names = [parse_name(pattern) for pattern in patterns if not is_pattern(pattern)]
    there = {info.name for info in found} if names else set()
    return [name for name in names if name not in there]
