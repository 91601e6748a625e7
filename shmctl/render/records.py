"""An object as a JSON record, and its mode as text."""

import stat
from typing import Any

from shmctl.core.models import ObjectInfo
from shmctl.render.times import iso_time


def name_fields(name: bytes) -> dict[str, str]:
    """``name``, and ``name_bytes`` in hex beside it where it is not UTF-8."""
    try:
        return {"name": name.decode()}
    except UnicodeDecodeError:
        return {"name": name.decode("utf-8", "replace"), "name_bytes": name.hex()}


def command_text(command: str) -> str:
    """A process's command as JSON has it: bytes that are not UTF-8 as ``\\xff``."""
    return command.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def object_record(info: ObjectInfo) -> dict[str, Any]:
    """An object by the keys that scripts rely on."""
    st = info.st
    return name_fields(info.name) | {
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


def mode_text(st_mode: int) -> str:
    """``-rw-------``."""
    return stat.filemode(st_mode)
