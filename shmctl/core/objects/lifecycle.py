"""Create, open, resize, describe and remove objects."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from shmctl.core import posix
from shmctl.core.deferral import defer_signals, signals_deferred
from shmctl.core.errors import InputError, ShmError
from shmctl.core.models import DEV_SHM, Directory, ObjectInfo, group_name, type_name, user_name
from shmctl.core.names import Name

if TYPE_CHECKING:
    from shmctl.core.sizes import Resize

DEFAULT_MODE = 0o600
_LONG = 1 << 20


class OpenObject(NamedTuple):
    """An open descriptor of an object, its size in bytes when it was opened, and whether it was made then."""

    name: Name
    fd: int
    directory: Directory
    size: int = 0
    made: bool = False

    def stat(self) -> os.stat_result:
        """fstat(2), now."""
        return posix.fstat(self.fd, self.name)

    def locked(self, *, exclusive: bool) -> "OpenObject":
        """Wait for its lock (flock(2)); the object as it is then."""
        from shmctl.core import locking

        locking.flock(self.fd, self.name, exclusive=exclusive)
        return self._replace(size=self.stat().st_size)


@contextmanager
def opened(name: Name, oflag: int, directory: Directory = DEV_SHM) -> Iterator[OpenObject]:
    """An existing object, open O_RDONLY or O_RDWR (with O_TRUNC where wanted).

    Raises ShmError for anything that is not a shared-memory object, without
    ever blocking on it or following it.
    """
    with _owned(lambda: _open_existing(name, oflag, directory)) as target:
        yield target


@contextmanager
def opened_or_made(
    name: Name, mode: int, directory: Directory = DEV_SHM, *, oflag: int = 0
) -> Iterator[OpenObject]:
    """An object open O_RDWR, made with ``mode`` where there is none.

    An object that this call made is removed again when the body fails.
    """
    with _owned(lambda: _open_or_make(name, mode, directory, oflag)) as target:
        yield target


def _open_or_make(name: Name, mode: int, directory: Directory, oflag: int) -> OpenObject:
    # O_CREAT goes only with O_EXCL: so it is certain who made the object, and fs.protected_regular,
    # which refuses O_CREAT on another user's existing object in a sticky directory, has no say.
    while True:
        try:
            return _open_existing(name, os.O_RDWR | oflag, directory)
        except ShmError as error:
            if error.errno != errno.ENOENT:
                raise
        try:
            return make(name, mode, directory, oflag=oflag)
        except ShmError as error:
            if error.errno != errno.EEXIST:
                raise


def make(name: Name, mode: int, directory: Directory = DEV_SHM, *, oflag: int = 0) -> OpenObject:
    """A new, empty object, open O_RDWR: EEXIST where the name is taken."""
    fd = posix.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | oflag, mode, directory)
    return OpenObject(name, fd, directory, made=True)


@contextmanager
def _owned(open_it: Callable[[], OpenObject]) -> Iterator[OpenObject]:
    """What ``open_it`` opens or makes, closed at the end; what it made is removed when the body fails.

    No signal can come between, when nobody would know whose the object is.
    """
    with signals_deferred() as deliver:
        target = open_it()
        try:
            deliver()
            yield target
        except BaseException:
            defer_signals()
            if target.made:
                remove_if_same(target)
            raise
        finally:
            posix.close(target.fd, target.name)


class LastingObject:
    """An object that is removed when the body that it was made for ends, unless it ``outlives`` that."""

    def __init__(self, opened: OpenObject) -> None:
        self.opened = opened
        self.outlives = False

    @property
    def name(self) -> Name:
        """Its name."""
        return self.opened.name


@contextmanager
def lasting_as_long(name: Name, mode: int, directory: Directory = DEV_SHM) -> Iterator[LastingObject]:
    """A new object, held open, and removed however the body ends; EEXIST where the name is taken."""
    with signals_deferred() as deliver:
        lasting = LastingObject(make(name, mode, directory))
        try:
            try:
                deliver()
                yield lasting
            finally:
                defer_signals()
        finally:
            if not lasting.outlives:
                remove_if_same(lasting.opened)
            posix.close(lasting.opened.fd, name)


def remove_if_same(target: OpenObject) -> None:
    """Unlink the name, unless it belongs to another object by now.

    That takes no descriptor: there may be none left to be had.
    """
    ours = target.stat()
    try:
        if is_same(posix.lstat(target.name, target.directory), ours):
            posix.shm_unlink(target.name, target.directory)
    except ShmError as error:
        if error.errno != errno.ENOENT:
            raise


def _open_existing(name: Name, oflag: int, directory: Directory) -> OpenObject:
    with explained(name, directory):
        fd = _open_when_no_lease_stands(name, oflag | os.O_NONBLOCK, directory)
    try:
        st = posix.fstat(fd, name)
        refuse_other_kinds("shm_open", name, st)
    except BaseException:
        posix.close(fd, name)
        raise
    return OpenObject(name, fd, directory, st.st_size)


def _open_when_no_lease_stands(name: Name, oflag: int, directory: Directory) -> int:
    """shm_open(3), tried for a second: who asks for the kernel's lease has it for microseconds."""
    pause = 0.0005
    while True:
        try:
            return posix.shm_open(name, oflag, 0, directory)
        except ShmError as error:
            if error.errno != errno.EAGAIN:
                raise
            if pause > 1:
                detail, hint = "another process holds a lease on it", "it has been asked to let go: try again"
                raise ShmError(error.call, name, errno.EAGAIN, detail=detail, hint=hint) from error
        time.sleep(pause)
        pause *= 2


def refuse_other_kinds(call: str, name: Name, st: os.stat_result) -> None:
    """Raise ShmError unless ``st`` is of a regular file."""
    if not stat.S_ISREG(st.st_mode):
        raise _wrong_kind(ShmError(call, name, errno.EINVAL), st)


_REFUSALS = (errno.EACCES, errno.EPERM)
_REMOVALS = ("unlink", "shm_unlink", "sem_unlink", "renameat")
_WRONG_KINDS = (errno.EINVAL, errno.ELOOP, errno.EISDIR, errno.ENXIO)


@contextmanager
def explained(name: Name, directory: Directory) -> Iterator[None]:
    """Let a refusal say whose the object is, and other errors what stands under the name, if that is why."""
    try:
        yield
    except ShmError as error:
        if error.detail or error.hint or error.errno not in (*_REFUSALS, *_WRONG_KINDS):
            raise
        try:
            st = describe_any(name, directory).st
        except ShmError:
            raise error from None
        is_removal = error.call in _REMOVALS
        if error.errno in _REFUSALS and (is_removal or stat.S_ISREG(st.st_mode)):
            owner, group = user_name(st.st_uid), group_name(st.st_gid)
            hint = f"it is {owner}:{group}'s, with mode {stat.filemode(st.st_mode)}"
            if is_removal and _is_sticky(directory):
                hint += "; in a sticky directory only its owner, or root, takes its name away"
            raise ShmError(error.call, name, error.errno, hint=hint) from error
        if not (is_removal or stat.S_ISREG(st.st_mode)):
            raise _wrong_kind(error, st) from error
        raise


def _is_sticky(directory: Directory) -> bool:
    where = directory.path if directory.fd is None else directory.fd
    return bool(os.stat(where).st_mode & stat.S_ISVTX)


def remove(name: Name, directory: Directory = DEV_SHM, *, shown: os.stat_result | None = None) -> None:
    """Remove a name and whatever stands under it, except a directory: unlink(2).

    Where it was ``shown`` to somebody, it has to be the same still: ESTALE.
    """
    with explained(name, directory):
        if shown is not None and not is_same(describe_any(name, directory).st, shown):
            detail = "another one has taken this name since; it is left as it is"
            raise ShmError("unlink", name, errno.ESTALE, detail=detail)
        posix.unlink(name, directory)


def is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether both are of the same file."""
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def unlink_object(name: Name, directory: Directory = DEV_SHM) -> None:
    """Remove an object's name: shm_unlink(3). Its memory goes with its last user."""
    with explained(name, directory):
        posix.shm_unlink(name, directory)


def _wrong_kind(error: ShmError, st: os.stat_result) -> ShmError:
    detail = f"it is {type_name(st.st_mode)}, not a shared-memory object"
    return ShmError(error.call, error.name, error.errno or errno.EINVAL, detail=detail)


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
        with _owned(lambda: make(name, mode, directory, oflag=oflag)) as target:
            set_size(target, 0, size or 0, reserve)
            yield target
        return
    with opened_or_made(name, mode, directory, oflag=oflag) as target:
        set_size(target, target.size, target.size if size is None else size, reserve)
        yield target


def set_size(target: OpenObject, old: int, new: int, reserve: bool) -> None:
    """Make an object of ``old`` bytes ``new`` ones long, and allocate them if ``reserve``."""
    if new > old:
        posix.ftruncate(target.fd, new, target.name)
    if reserve and new:
        with _size_restored_on_failure(target, old, new):
            posix.posix_fallocate(target.fd, 0, new, target.name)
    if new < old:
        posix.ftruncate(target.fd, new, target.name)


@contextmanager
def _size_restored_on_failure(target: OpenObject, old: int, new: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if new > old:
            posix.ftruncate(target.fd, old, target.name)
        raise


@contextmanager
def room(
    target: OpenObject, offset: int, length: int, *, grow: bool = False, exact: bool = False
) -> Iterator[None]:
    """See that ``length`` bytes at ``offset`` can be stored, before anything is.

    The object grows to fit if ``grow`` or ``exact`` says so, or if it was just
    made; the memory is allocated, so that a full /dev/shm is an error here.
    After the body ``exact`` shrinks it to end with the data. When the body
    fails, the object has its old size again.
    """
    end, old = offset + length, target.size
    if end > old:
        if not (grow or exact or target.made):
            raise does_not_fit(target.name, offset, f"{length} bytes", old)
        posix.ftruncate(target.fd, end, target.name)
    with _size_restored_on_failure(target, old, end):
        if length and not (end <= old and _is_allocated(target, offset, length)):
            posix.posix_fallocate(target.fd, offset, length, target.name)
        yield
    if exact and end < old:
        posix.ftruncate(target.fd, end, target.name)


def _is_allocated(target: OpenObject, offset: int, length: int) -> bool:
    """Whether a long range has its memory: looking takes a quarter of the time of allocating it again."""
    if length < _LONG:
        return False
    from shmctl.core.transfer import seek_hole

    try:
        return seek_hole(target.fd, offset, target.name) >= offset + length
    except ShmError:
        return False  # it has been shrunk


def does_not_fit(name: Name, offset: int, amount: str, size: int) -> ShmError:
    """The error for data that would reach past the end of an object of ``size`` bytes."""
    detail = f"{amount} at offset {offset} do not fit in its {size} bytes"
    return ShmError("mmap", name, errno.EFBIG, detail=detail, hint="--grow extends the object to fit")


def resize(name: Name, change: "Resize", directory: Directory = DEV_SHM) -> tuple[int, int]:
    """Grow an object with zeros, or shrink it: ftruncate(2). Returns its old and new size in bytes."""
    with opened(name, os.O_RDWR, directory) as target:
        try:
            new = change.apply(target.size)
        except InputError as error:
            raise ShmError("ftruncate", name, errno.EFBIG, detail=str(error)) from error
        posix.ftruncate(target.fd, new, name)
        return target.size, new


def describe(name: Name, directory: Directory = DEV_SHM) -> ObjectInfo:
    """What fstat(2) tells about an object, also one that may not be opened.

    Raises ShmError for anything that is not a shared-memory object.
    """
    info = describe_any(name, directory)
    refuse_other_kinds("fstat", name, info.st)
    return info


def describe_any(name: Name, directory: Directory = DEV_SHM) -> ObjectInfo:
    """What fstat(2) tells about whatever stands under the name, following nothing."""
    with posix.closing(posix.open_path(name, directory), name) as fd:
        return ObjectInfo(name, directory, posix.fstat(fd, name))


def change_mode(name: Name, mode: int, directory: Directory = DEV_SHM) -> None:
    """Set an object's permission bits: fchmod(2)."""
    with explained(name, directory), _opened_for_change(name, directory) as (target, can_be_used):
        if can_be_used:
            posix.fchmod(target.fd, mode, name)
        else:
            posix.chmod_path_fd(target.fd, mode, name)


def change_owner(name: Name, uid: int, gid: int, directory: Directory = DEV_SHM) -> None:
    """Set an object's owner and group, -1 leaving one as it is: fchown(2)."""
    with explained(name, directory), _opened_for_change(name, directory) as (target, can_be_used):
        if can_be_used:
            posix.fchown(target.fd, uid, gid, name)
        else:
            posix.chown_path_fd(target.fd, uid, gid, name)


@contextmanager
def _opened_for_change(name: Name, directory: Directory) -> Iterator[tuple[OpenObject, bool]]:
    """An object, and whether its descriptor takes fchmod.

    An owner may change what the mode bars from opening.
    """
    try:
        with opened(name, os.O_RDONLY, directory) as target:
            yield target, True
            return
    except ShmError as error:
        if error.call != "shm_open" or error.errno != errno.EACCES:
            raise
    with posix.closing(posix.open_path(name, directory), name) as fd:
        target = OpenObject(name, fd, directory)
        refuse_other_kinds("open", name, target.stat())
        yield target, False
