"""Checks of the directory and its file system."""

import os
import stat

from shmctl.core import posix
from shmctl.core.inspect.doctor.examination import Examination
from shmctl.core.inspect.doctor.findings import Outcome, note, ok, problem, unknown, warning
from shmctl.core.inspect.mounts import is_file_system_root
from shmctl.core.models import type_name, user_name
from shmctl.core.names import escape

_MAKE = "mkdir -p /dev/shm && mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm"


def check_directory(case: Examination) -> Outcome:
    """Is there a directory, and is it a symbolic link?"""
    path = case.directory.path
    try:
        st = os.lstat(path) if case.directory.fd is None else os.stat(case.directory.fd)
    except FileNotFoundError:
        return problem("there is no /dev/shm: shm_open(3) and sem_open(3) fail", _MAKE)
    if stat.S_ISLNK(st.st_mode):
        return _check_link(path)
    if not stat.S_ISDIR(st.st_mode):
        return problem(f"/dev/shm is {type_name(st.st_mode)}, not a directory", f"remove it, then: {_MAKE}")
    return ok("/dev/shm is a directory")


def _check_link(path: bytes) -> Outcome:
    shown = f"/dev/shm is a symbolic link to {escape(os.readlink(path))}"
    if not os.path.isdir(path):
        return problem(f"{shown}, which is no directory: shm_open(3) fails", f"remove it, then: {_MAKE}")
    return note(
        f"{shown}: the C library follows it",
        "tools that follow no link do not find the objects; a tmpfs on /dev/shm itself is better",
    )


def check_file_system(case: Examination) -> Outcome:
    """Is it a tmpfs of its own?"""
    mount = case.mount
    if mount is None:
        return unknown("the mount table does not show what /dev/shm is on")
    if mount.fstype == "ramfs":
        return warning(
            "ramfs: it has no limit and is never swapped out, so filling it takes all memory",
            case.command("mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm"),
        )
    if mount.fstype != "tmpfs":
        return warning(
            f"{mount.fstype}, not tmpfs: objects are files on it, which can be slow and survive a restart",
            case.command("mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm"),
        )
    if is_file_system_root(case.directory, mount):
        return ok("a tmpfs of its own")
    part = f"the directory {escape(mount.root)}" if mount.root != b"/" else "a directory"
    return note(
        f"{part} of the tmpfs on {escape(mount.point)}, whose size it shares with all that is there",
        case.command("mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm"),
    )


def check_read_only(case: Examination) -> Outcome:
    """May anything be made?"""
    if case.vfs.f_flag & os.ST_RDONLY:
        return problem(
            "mounted read-only: no object can be made, written or removed",
            case.command("mount -o remount,rw /dev/shm"),
        )
    return ok("mounted for reading and writing")


def check_mount_options(case: Examination) -> Outcome:
    """Are set-user-ID programs and device files harmless there?"""
    flags = {"nosuid": os.ST_NOSUID, "nodev": os.ST_NODEV}
    missing = [name for name, flag in flags.items() if not case.vfs.f_flag & flag]
    if missing:
        effects = {"nosuid": "set-user-ID programs", "nodev": "device files"}
        return warning(
            f"mounted without {' and '.join(missing)}: {' and '.join(effects[name] for name in missing)} "
            "work in a directory that everybody may write to",
            case.command(f"mount -o remount,{','.join(missing)} /dev/shm") + ", and the same in /etc/fstab",
        )
    return ok("mounted with nosuid and nodev")


def check_noexec(case: Examination) -> Outcome:
    """May programs map objects executable?"""
    if case.vfs.f_flag & os.ST_NOEXEC:
        return note(
            "mounted with noexec: programs that map objects executable, as some just-in-time compilers do, "
            "get EPERM",
            "if such a program fails: " + case.command("mount -o remount,exec /dev/shm"),
        )
    return ok("objects may be mapped executable")


def check_permissions(case: Examination) -> Outcome:
    """May everybody make objects, and nobody remove another's?"""
    st = posix.stat_directory(case.directory)
    mode = stat.S_IMODE(st.st_mode)
    repair = case.command("chown root:root /dev/shm") + " && " + case.command("chmod 1777 /dev/shm")
    if st.st_uid:
        return problem(
            f"it belongs to {user_name(st.st_uid)}, who may remove or replace everybody's objects", repair
        )
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return problem(
            f"mode {mode:04o} has no sticky bit: everybody may remove or replace everybody's objects", repair
        )
    if mode & 0o777 != 0o777:
        return warning(f"mode {mode:04o}: not every user can make and open objects", repair)
    return ok(f"mode {mode:04o}, owner root")


def check_huge_pages(case: Examination) -> Outcome:
    """Does each object take memory in large steps?"""
    huge = case.mount.options.get("huge", "never") if case.mount else "never"
    everywhere = _huge_pages_everywhere()
    if everywhere in ("force", "deny"):
        huge = {"force": "always", "deny": "never"}[everywhere]
    if huge in ("always", "within_size"):
        return note(
            f"huge={huge}: objects take memory in steps of a huge page, usually 2 MiB",
            "if memory runs short: " + case.command("mount -o remount,huge=advise /dev/shm"),
        )
    return ok(f"huge={huge}")


def _huge_pages_everywhere() -> str | None:
    """What overrides the option of every mount, for testing: ``force`` or ``deny``."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", encoding="ascii") as file:
            return file.read().partition("[")[2].partition("]")[0]
    except OSError:
        return None
