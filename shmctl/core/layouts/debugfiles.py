"""The files that have a program's debugging information: itself, one beside it or below /usr/lib/debug."""

import os

from shmctl.core.errors import InputError, ShmError
from shmctl.core.layouts.elf import Elf

_DEBUG = "/usr/lib/debug"


def open_debug(path: str, shown: str | None = None) -> list[Elf]:
    """``path``, and the files beside it that have its debugging information. Close them all."""
    elf = Elf(path, shown)
    opened = [elf]
    try:
        if (
            elf.find(b".debug_info") is None
            and elf.find(b".zdebug_info") is None
            and elf.find(b".debug_info.dwo") is None
        ):
            separate = _separate(elf)
            if separate is not None:
                opened.append(separate)
        return opened
    except BaseException:
        for each in opened:
            each.close()
        raise


def _separate(elf: Elf) -> Elf | None:
    """The file with the debugging information that was split off from ``elf``, if it is there."""
    build_id = elf.build_id
    if build_id:
        path = f"{_DEBUG}/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
        found = _opened(path)
        if found is not None and found.build_id == build_id:
            return found
        if found is not None:
            found.close()
    name, rest = elf.link(b".gnu_debuglink")
    if not name or b"/" in name:
        return None
    folder = os.path.dirname(os.path.realpath(elf.path))
    file = os.fsdecode(name)
    crc = rest[-4:]
    for candidate in (f"{folder}/{file}", f"{folder}/.debug/{file}", f"{_DEBUG}{folder}/{file}"):
        found = _opened(candidate)
        if found is None:
            continue
        if found.identity != elf.identity and found.checksum().to_bytes(4, elf.endian) == crc:
            return found
        found.close()
    return None


def _opened(path: str) -> Elf | None:
    try:
        return Elf(path)
    except (ShmError, InputError):
        return None


def alternate(elf: Elf) -> Elf | None:
    """The file that dwz(1) moved common parts to."""
    for section in (b".gnu_debugaltlink", b".debug_sup"):
        content = elf.content(section)
        if section == b".debug_sup":
            content = content[3:]
        name, _, build_id = content.partition(b"\0")
        if not name:
            continue
        path = os.path.join(os.path.dirname(os.path.realpath(elf.path)), os.fsdecode(name))
        fallback = f"{_DEBUG}/.dwz/{os.path.basename(path)}"
        for candidate in (path, fallback):
            found = _opened(candidate)
            if found is not None and (section == b".debug_sup" or found.build_id == build_id.hex()):
                return found
            if found is not None:
                found.close()
    return None


def alternate_name(elf: Elf) -> str:
    """Return the path of that file as ``elf`` has it, or nothing."""
    return os.fsdecode(elf.link(b".gnu_debugaltlink")[0])
