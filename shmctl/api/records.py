"""The record of an object."""

import os
from dataclasses import dataclass, fields
from typing import Self

from shmctl.core.models import Kind, ObjectInfo, group_name, user_name


@dataclass(frozen=True, slots=True)
class Info:
    """An object's metadata at one moment (fstat(2)).

    ``name`` has its slash; os.fsencode() gives its bytes. ``size`` is the
    length in bytes, ``allocated`` the bytes of memory that it takes. ``mode``
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

    def __repr__(self) -> str:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        shown = (f"{name}={oct(value) if name == 'mode' else repr(value)}" for name, value in values)
        return f"Info({', '.join(shown)})"

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
            atime=st.st_atime_ns / 10**9,
            mtime=st.st_mtime_ns / 10**9,
            ctime=st.st_ctime_ns / 10**9,
        )

    @property
    def owner(self) -> str:
        """The owner's login name, or the number as text where the user database has none."""
        return user_name(self.uid)

    @property
    def group(self) -> str:
        """The group's name, or the number as text where the group database has none."""
        return group_name(self.gid)
