"""Create objects: of a size, or for as long as something runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from shmctl.core import posix
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.open import DEFAULT_MODE, OpenObject, create_exclusively, opened_or_created, owned
from shmctl.core.objects.remove import remove_if_same
from shmctl.core.objects.resize import set_size
from shmctl.core.signals import block_signals, signals_blocked


@contextmanager
def created(
    name: Name,
    size: int | None = None,
    mode: int = DEFAULT_MODE,
    *,
    exclusive: bool = True,
    truncate: bool = False,
    reserve: bool = False,
    directory: Directory = DEV_SHM,
) -> Iterator[OpenObject]:
    """An object of ``size`` bytes, made unless it exists: shm_open(3) and ftruncate(2).

    ``exclusive`` refuses an existing one; otherwise it is resized where its
    size differs, and keeps its mode. ``truncate`` empties it first (O_TRUNC).
    ``reserve`` allocates its memory now, so that ENOSPC comes here. After a
    failure an object that this call made is gone, and another has its size back.
    """
    oflag = os.O_TRUNC if truncate else 0
    if exclusive:
        with owned(lambda: create_exclusively(name, mode, directory, oflag=oflag)) as target:
            set_size(target, 0, size or 0, reserve)
            yield target
        return
    with opened_or_created(name, mode, directory, oflag=oflag) as target:
        set_size(target, target.size, target.size if size is None else size, reserve)
        yield target


class TemporaryObject:
    """An object that is removed when the body that it was made for ends, unless it ``outlives`` that."""

    def __init__(self, opened: OpenObject) -> None:
        self.opened = opened
        self.outlives = False

    @property
    def name(self) -> Name:
        """Its name."""
        return self.opened.name


@contextmanager
def temporary_object(name: Name, mode: int, directory: Directory = DEV_SHM) -> Iterator[TemporaryObject]:
    """A new object, held open, and removed however the body ends; EEXIST where the name is taken."""
    with signals_blocked() as deliver:
        temporary = TemporaryObject(create_exclusively(name, mode, directory))
        try:
            try:
                deliver()
                yield temporary
            finally:
                block_signals()
        finally:
            if not temporary.outlives:
                remove_if_same(name, temporary.opened.stat(), directory)
            posix.close(temporary.opened.fd, name)
