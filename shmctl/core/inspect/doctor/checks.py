"""The table of checks, and the examination that makes them all."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass

from shmctl.core.errors import ShmError
from shmctl.core.inspect.doctor import contents, filesystem, host, memory
from shmctl.core.inspect.doctor.examination import Examination
from shmctl.core.inspect.doctor.findings import Finding, Outcome, Scope, Status
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import escape


@dataclass(frozen=True, slots=True)
class Check:
    """A check by its stable name."""

    name: str
    scope: Scope
    make: Callable[[Examination], Outcome]


_EXISTENCE = Check("directory", Scope.DIRECTORY, filesystem.check_directory)
CHECKS = (
    _EXISTENCE,
    Check("file-system", Scope.DIRECTORY, filesystem.check_file_system),
    Check("read-only", Scope.DIRECTORY, filesystem.check_read_only),
    Check("permissions", Scope.DIRECTORY, filesystem.check_permissions),
    Check("mount-options", Scope.DIRECTORY, filesystem.check_mount_options),
    Check("noexec", Scope.DIRECTORY, filesystem.check_noexec),
    Check("huge-pages", Scope.DIRECTORY, filesystem.check_huge_pages),
    Check("size", Scope.DIRECTORY, memory.check_size),
    Check("container-default", Scope.DIRECTORY, memory.check_container_default),
    Check("memory-fill", Scope.DIRECTORY, memory.check_memory_fill),
    Check("inode-fill", Scope.DIRECTORY, memory.check_inodes),
    Check("writable-by-all", Scope.DIRECTORY, contents.check_writable_by_all),
    Check("unknown-owners", Scope.DIRECTORY, contents.check_unknown_owners),
    Check("unlinked", Scope.DIRECTORY, contents.check_unlinked),
    Check("semaphores", Scope.DIRECTORY, contents.check_semaphores),
    Check("directories", Scope.DIRECTORY, contents.check_directories),
    Check("memory-limit", Scope.PROCESS, memory.check_memory_limit),
    Check("file-size-limit", Scope.PROCESS, memory.check_file_size_limit),
    Check("leases", Scope.HOST, host.check_leases),
    Check("protected-regular", Scope.HOST, host.check_protected_regular),
    Check("proc", Scope.HOST, host.check_proc),
    Check("remove-ipc", Scope.HOST, host.check_remove_ipc),
)


def examine(directory: Directory = DEV_SHM) -> list[Finding]:
    """Make every check of a /dev/shm, and of the process that sees it.

    Each has a finding, in the order of the table; one that could not be made says why.
    """
    case = Examination(directory)
    there = filesystem.check_directory(case).status is not Status.PROBLEM
    return [Finding(check.name, check.scope, _outcome(check, case, there)) for check in CHECKS]


def _outcome(check: Check, case: Examination, there: bool) -> Outcome:
    if check.scope is Scope.DIRECTORY and not there and check is not _EXISTENCE:
        return Outcome(Status.UNKNOWN, "could not be checked: there is no directory")
    try:
        return check.make(case)
    except ShmError as error:
        where = escape(error.name or case.directory.path)
        why = f"{error.call}: {where}: {error.strerror} ({error.symbol})"
    except OSError as error:
        where = f"{escape(os.fsencode(error.filename))}: " if isinstance(error.filename, str | bytes) else ""
        why = f"{where}{error.strerror} ({errno.errorcode.get(error.errno or 0, '?')})"
    except (ValueError, LookupError) as error:
        # Sandboxes make up files of /proc.
        why = f"a file of the system has an unexpected form: {error}"
    return Outcome(Status.UNKNOWN, f"could not be checked: {why}")
