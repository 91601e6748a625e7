"""An object as a JSON record, and its times and modes as text."""

import stat
from datetime import datetime
from typing import Any

from shmctl.core.models import ObjectInfo


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
