"""Checks of the host: kernel settings, what /proc shows, and what systemd does to objects."""

import os

from shmctl.core import locking, posix, proc
from shmctl.core.errors import ShmError
from shmctl.core.inspect.doctor.examination import Examination
from shmctl.core.inspect.doctor.findings import Outcome, note, ok, warning
from shmctl.core.inspect.doctor.logind import remove_ipc
from shmctl.core.inspect.lease import State
from shmctl.core.inspect.mounts import Mount, read_mounts
from shmctl.core.models import Directory

_HIDEPID = {"1": "noaccess", "2": "invisible", "4": "ptraceable"}
_NO_ORPHANS = "'shmctl leaks' and 'gc' cannot ask the kernel who uses an object, and call nothing an orphan"


def check_remove_ipc(case: Examination) -> Outcome:
    """Does systemd remove the objects of users who log out?"""
    if not os.path.isdir("/run/systemd/system"):
        return ok("systemd does not run here, so nothing removes objects when users log out")
    removes, source = remove_ipc()
    if not removes:
        return ok(f"RemoveIPC=no in {source}: objects stay when users log out")
    return note(
        f"RemoveIPC=yes ({source}): systemd-logind removes all objects and semaphores of a user when "
        "the last session ends, also those in use; system users are exempt",
        "run services as system users, or write '[Login]' and 'RemoveIPC=no' to "
        "/etc/systemd/logind.conf.d/remove-ipc.conf and restart systemd-logind",
    )


def check_leases(case: Examination) -> Outcome:
    """Does the kernel tell who uses an object?"""
    try:
        enabled = proc.setting("fs/leases-enable")
    except OSError:
        enabled = None
    if enabled == 0:
        return warning(f"fs.leases-enable is 0: {_NO_ORPHANS}", "sysctl -w fs.leases-enable=1")
    try:
        wrong = _try_lease(case.directory)
    except ShmError as error:
        wrong = f"leases do not work here ({error.symbol})"
        if error.call == "open":
            # No new object: no inode left, a read-only mount, another user namespace.
            test = case.snapshot.test
            states = {usage.state for usage in test.ask_each(case.snapshot.objects)}
            if test.lease_problem is None and State.FREE not in states:
                raise
            wrong = test.lease_problem
    if wrong is None:
        return ok("the kernel's write lease tells who uses an object: tried, and proved to work")
    return warning(f"{wrong}: {_NO_ORPHANS}", "'shmctl holders' as root shows what can be seen of users")


def _try_lease(directory: Directory) -> str | None:
    """Prove the lease on a new object without a name; returns in words what is wrong with it, or None.

    The kernel must refuse the lease while the object has a second descriptor,
    and grant it once that is closed. Raises ShmError: of open(2) where the
    object cannot be made, of fcntl(2) where there are no leases.
    """
    name = directory.path
    with posix.closing(posix.open_unnamed(directory), name) as fd:
        with posix.closing(posix.open_again(fd, b"/proc/self/fd"), name):
            if locking.take_lease(fd, name):
                return "this kernel grants leases on objects in use"
        if not locking.take_lease(fd, name):
            return "this kernel refuses leases on objects that nobody uses"
        locking.release_lease(fd, name)
    return None


def check_protected_regular(case: Examination) -> Outcome:
    """Can somebody plant an object that a program is about to make?"""
    level = proc.setting("fs/protected_regular")
    if level:
        return ok(
            f"fs.protected_regular is {level}: another's object cannot be opened with O_CREAT, even by root"
        )
    return warning(
        "fs.protected_regular is 0: everybody may make an object beforehand that a program then opens with "
        "O_CREAT and takes for its own",
        "sysctl -w fs.protected_regular=1; programs should make objects with O_EXCL",
    )


def check_proc(case: Examination) -> Outcome:
    """Which processes can be inspected?"""
    try:
        namespace = proc.namespace(None, "pid")
        mount = _proc_mount(read_mounts())
    except FileNotFoundError:
        return warning(
            "there is no /proc: holders of objects, and most of what is checked here, are not visible",
            "mount -t proc proc /proc",
        )
    hidden = mount.options.get("hidepid", "0") if mount else "0"
    if hidden not in ("0", "off"):
        return note(
            f"/proc is mounted with hidepid={_HIDEPID.get(hidden, hidden)}: without root, holders of other "
            "users are not to be seen",
            "run 'shmctl holders', 'leaks' and 'df' as root",
        )
    if namespace != proc.INITIAL_PID_NAMESPACE:
        return note(
            "this is not the first PID namespace: processes outside are not to be seen, though they may hold "
            "objects",
            "run 'shmctl' on the host, with --target PID",
        )
    return ok("/proc shows all processes; those of other users can be inspected by root")


def _proc_mount(mounts: list[Mount]) -> Mount | None:
    return next((mount for mount in reversed(mounts) if mount.point == b"/proc"), None)
