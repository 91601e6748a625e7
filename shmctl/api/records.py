"""What the library tells: records that do not change any more."""

import os
from dataclasses import dataclass
from typing import Self

from shmctl.core.inspect.verdicts import Verdict
from shmctl.core.models import Kind, ObjectInfo, group_name, user_name


@dataclass(frozen=True, slots=True)
class Info:
    """An object as fstat(2) described it at one moment.

    ``name`` has its slash; os.fsencode() gives its bytes. ``size`` is in
    bytes, ``allocated`` the bytes of memory that it really takes. ``mode``
    has the permission bits alone. Times are in seconds since the epoch.
    """

    name: str
    kind: Kind
    size: int
    allocated: int
    mode: int
    uid: int
    gid: int
    nlink: int
    inode: int
    device: int
    atime: float
    mtime: float
    ctime: float

    @classmethod
    def of(cls, info: ObjectInfo) -> Self:
        """@private"""
        st = info.st
        return cls(
            name=os.fsdecode(info.name),
            kind=info.kind,
            size=info.size,
            allocated=info.allocated,
            mode=info.permissions,
            uid=st.st_uid,
            gid=st.st_gid,
            nlink=st.st_nlink,
            inode=st.st_ino,
            device=st.st_dev,
            atime=st.st_atime,
            mtime=st.st_mtime,
            ctime=st.st_ctime,
        )

    @property
    def owner(self) -> str:
        """The owner's login name, or the number as text where the user database has none."""
        return user_name(self.uid)

    @property
    def group(self) -> str:
        """The group's name, or the number as text where the group database has none."""
        return group_name(self.gid)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has an object open or mapped.

    ``access`` has the letters r, w and x of its descriptors and mappings;
    ``mapped`` is in bytes; ``fds`` are its descriptors' numbers.
    """

    pid: int
    uid: int
    command: str
    access: str
    mapped: int
    fds: tuple[int, ...]

    @property
    def user(self) -> str:
        """Its user's login name, or the number as text."""
        return user_name(self.uid)


class Holders(tuple[Holder, ...]):
    """The holders that were found, and how many processes would not be inspected.

    Where ``uninspected`` is not 0, an empty one does not prove that nobody uses the object.
    """

    uninspected: int

    def __new__(cls, holders: tuple[Holder, ...], uninspected: int) -> Self:  # noqa: D102
        self = super().__new__(cls, holders)
        self.uninspected = uninspected
        return self

    def __repr__(self) -> str:
        return f"Holders({super().__repr__()}, uninspected={self.uninspected})"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on an object, with its reasons in words.

    ``software`` has made it, going by its name, and ``creator_pid`` stands in
    the name; each is None where nothing tells.
    """

    info: Info
    verdict: Verdict
    reasons: tuple[str, ...]
    software: str | None
    creator_pid: int | None

    @property
    def name(self) -> str:
        """The object's name."""
        return self.info.name
