"""An object as a JSON record, and its times and modes as text."""

import os
import stat
from datetime import datetime
from typing import Any

from shmctl.core.models import ObjectInfo
from shmctl.core.names import escape
from shmctl.core.sizes import human_size

_ST_FIELDS = (
    "st_dev",
    "st_ino",
    "st_mode",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_rdev",
    "st_size",
    "st_blksize",
    "st_blocks",
)
_ST_TIMES = ("st_atime", "st_mtime", "st_ctime")


def name_fields(name: bytes) -> dict[str, str]:
    """``name``, and ``name_bytes`` in hex beside it where it is not UTF-8."""
    try:
        return {"name": name.decode()}
    except UnicodeDecodeError:
        return {"name": name.decode("utf-8", "replace"), "name_bytes": name.hex()}


def object_record(info: ObjectInfo) -> dict[str, Any]:
    """An object by the keys that scripts rely on."""
    st = info.st
    return {
        **name_fields(info.name),
        "path": info.path.decode("utf-8", "replace"),
        "kind": info.kind.value,
        "size": info.size,
        "allocated": info.allocated,
        "mode": f"{info.permissions:04o}",
        "uid": st.st_uid,
        "owner": info.owner,
        "gid": st.st_gid,
        "group": info.group,
        "nlink": st.st_nlink,
        "inode": st.st_ino,
        "device": st.st_dev,
        "atime": iso_time(st.st_atime_ns),
        "mtime": iso_time(st.st_mtime_ns),
        "ctime": iso_time(st.st_ctime_ns),
    }


def stat_record(info: ObjectInfo) -> dict[str, Any]:
    """The same, with every field of struct stat as a number: times in seconds, and ``_ns`` in nanoseconds."""
    record = object_record(info)
    record.update((field, getattr(info.st, field)) for field in _ST_FIELDS)
    for field in _ST_TIMES:
        nanoseconds = getattr(info.st, field + "_ns")
        record[field] = nanoseconds // 10**9
        record[field + "_ns"] = nanoseconds
    return record


def iso_time(nanoseconds: int) -> str:
    """ISO 8601 with zone and nanoseconds: ``2026-11-23T14:22:05.123456789+00:00``."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    text = datetime.fromtimestamp(seconds).astimezone().isoformat()
    return f"{text[:19]}.{fraction:09d}{text[19:]}"


def short_time(nanoseconds: int, *, human: bool) -> str:
    """For people to the minute; for programs to the second, with the zone and without spaces."""
    moment = datetime.fromtimestamp(nanoseconds // 10**9).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M") if human else moment.isoformat()


def mode_text(st_mode: int) -> str:
    """``-rw-------``."""
    return stat.filemode(st_mode)


def stat_rows(info: ObjectInfo) -> list[tuple[str, str]]:
    """struct stat, field by field, with what each means to a person."""
    st = info.st
    return [
        ("st_dev", f"{st.st_dev} (device {os.major(st.st_dev)}:{os.minor(st.st_dev)})"),
        ("st_ino", str(st.st_ino)),
        ("st_mode", f"{st.st_mode:#o} ({mode_text(st.st_mode)})"),
        ("st_nlink", str(st.st_nlink)),
        ("st_uid", f"{st.st_uid} ({escape(info.owner)})"),
        ("st_gid", f"{st.st_gid} ({escape(info.group)})"),
        ("st_rdev", str(st.st_rdev)),
        ("st_size", f"{st.st_size} ({human_size(st.st_size)})"),
        ("st_blksize", str(st.st_blksize)),
        ("st_blocks", f"{st.st_blocks} ({info.allocated} bytes allocated)"),
        ("st_atime", f"{st.st_atime_ns // 10**9} ({iso_time(st.st_atime_ns)})"),
        ("st_mtime", f"{st.st_mtime_ns // 10**9} ({iso_time(st.st_mtime_ns)})"),
        ("st_ctime", f"{st.st_ctime_ns // 10**9} ({iso_time(st.st_ctime_ns)})"),
    ]
