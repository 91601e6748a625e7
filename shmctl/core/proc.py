"""Every read of /proc (proc(5)), as bytes, and what it means that a process ends or refuses meanwhile.

What a process says of itself is hostile input: its name and the paths that it maps may have any byte but
NUL. A line ends at a newline and nowhere else, and nothing is decoded here. A thread's ID does as a PID.
The file is long because no other one reads /proc.
"""

import errno
import fcntl
import os
import re
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from shmctl.core.errors import failing_as
from shmctl.core.sizes import counted

INITIAL_PID_NAMESPACE = b"pid:[4026531836]"

_GONE = (errno.ENOENT, errno.ESRCH)
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD in linux/sched.h
# The first lines of /proc/PID/fdinfo/N; epoll and the like append more.
_FDINFO = re.compile(rb"pos:\t\d+\nflags:\t(\d+)\n(?:mnt_id:\t\d+\n)?(?:ino:\t(\d+)\n)?")
# kcmp(2) has no function in the C library. 32-bit programs have other numbers for it.
_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "loongarch64": 272, "ppc64le": 354, "s390x": 343}
_KCMP_FILES = 2

# The PROCMAP_QUERY ioctl of /proc/PID/maps (linux/fs.h, Linux 6.11): the mapping at an address, or the
# next one, that has a file, with its device and inode; nothing is formatted.
_PROCMAP_QUERY = 0xC0686611
_QUERY = struct.Struct("=9Q2I2I2Q")
_ANSWER = (0,) * 12
_OR_NEXT, _WITH_FILE = 0x10, 0x20
# Bytes of text up to which reading a process's mappings is faster than asking for them one by one.
_SHORT = 1 << 14
# The flags 1, 2 and 4 are readable, writable and executable.
_ACCESS = ("", "r", "w", "rw", "x", "rx", "wx", "rwx")

Found = TypeVar("Found")


# Which processes there are, and which of them cannot be inspected


class Uninspected(NamedTuple):
    """A process that could not be inspected, and the number of the error that says why."""

    pid: int
    errno: int


def is_mounted() -> bool:
    """Whether there is a /proc that shows this process."""
    return os.path.exists("/proc/self")


def exists(pid: int) -> bool:
    """Whether /proc shows a process."""
    return os.path.exists(f"/proc/{pid}")


def pids() -> list[int]:
    """The processes that /proc lists, in ascending order. Raises FileError where it cannot be listed."""
    with failing_as("readdir", b"/proc"):
        return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def other_pids() -> list[int]:
    """The same without this process, whose PID in /proc may be another than getpid(2) says."""
    try:
        own = int(os.readlink("/proc/self"))
    except OSError:
        own = 0
    return [pid for pid in pids() if pid != own]


def survey(
    processes: Iterable[int], look: Callable[[int], Iterable[Found]]
) -> tuple[list[Found], list[Uninspected]]:
    """What ``look`` finds in each process, and the processes that it could not look into.

    A process that has ended is left out. So is one that refuses but has
    nothing to hide: a zombie, or a thread of the kernel.
    """
    found: list[Found] = []
    uninspected = []
    for pid in processes:
        try:
            found += look(pid)
        except OSError as error:
            if error.errno not in _GONE and not _holds_nothing(pid):
                uninspected.append(Uninspected(pid, error.errno or errno.EIO))
    return found, uninspected


def _holds_nothing(pid: int) -> bool:
    try:
        found = stat(pid)
    except (OSError, ValueError, LookupError) as error:  # a sandbox may make this file up
        return isinstance(error, FileNotFoundError | ProcessLookupError)
    return found.is_dead or bool(found.flags & _KERNEL_THREAD)


def uninspected_text(uninspected: Sequence[Uninspected], *, by_pid: bool = False) -> str:
    """How many processes could not be inspected and the most frequent reason, or each PID and its reason."""
    by_reason: dict[int, list[int]] = {}
    for pid, number in uninspected:
        by_reason.setdefault(number, []).append(pid)
    groups = sorted(by_reason.items(), key=lambda group: -len(group[1]))
    count = len(uninspected)
    text = f"{counted(count, 'process', 'processes')} could not be inspected"
    if by_pid:
        return f"{text}: " + "; ".join(
            f"PID {', '.join(map(str, group))}: {_reason(number)}" for number, group in groups
        )
    number, most = groups[0]
    return text + (f", {len(most)} of them" if len(groups) > 1 else "") + f": {_reason(number)}"


def _reason(number: int) -> str:
    return f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"


# What a process is


class Stat(NamedTuple):
    """What /proc/PID/stat says (proc_pid_stat(5)); ``start`` is in seconds after boot."""

    state: bytes
    flags: int
    threads: int
    start: float

    @property
    def is_dead(self) -> bool:
        """Whether it waits for its parent alone. A leader without threads is meant: others may live on."""
        return self.state in (b"Z", b"X") and self.threads <= 1


def stat(pid: int) -> Stat:
    """The state of a process. Raises OSError."""
    # The command stands in the middle, in parentheses, and may have some of its own.
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return Stat(fields[0], int(fields[6]), int(fields[17]), int(fields[19]) / os.sysconf("SC_CLK_TCK"))


def namespace_pids(pid: int) -> list[int]:
    """A process's PID in each PID namespace that it is in, from this one inwards. Raises OSError."""
    for line in _read(pid, "status").split(b"\n"):
        if line.startswith(b"NSpid:"):
            return [int(number) for number in line.split()[1:]]
    return [pid]  # a sandbox made this file up


def command(pid: int) -> bytes:
    """A process's name for itself: up to 15 bytes, or 63 of a kernel thread. Raises OSError."""
    return _read_once(_path(pid, "comm")).removesuffix(b"\n")


def owner(pid: int) -> int:
    """The user ID of a process. Raises OSError."""
    return os.stat(_path(pid, "")).st_uid


def has_program(pid: int) -> bool:
    """Whether a process runs a program, as threads of the kernel do not. Raises OSError where it refuses."""
    try:
        os.readlink(_path(pid, "exe"))
    except FileNotFoundError:
        return False
    return True


def namespace(pid: int | None, kind: str) -> bytes:
    """The namespace of a process, or of this one: ``mnt:[4026531841]``. Raises OSError."""
    return os.readlink(_path(pid, f"ns/{kind}"))


def root(pid: int | None) -> bytes:
    """The root directory of a process, or of this one, as this one sees it. Raises OSError."""
    return os.readlink(_path(pid, "root"))


def root_path(pid: int) -> bytes:
    """The path that leads to the root directory of a process."""
    return _path(pid, "root")


def open_root(pid: int) -> int:
    """A descriptor of a process's root directory, opened with O_PATH. Raises OSError."""
    # The last step is the kernel's own link to the root; it is meant to be followed.
    return os.open(_path(pid, "root"), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def cgroups(pid: int | None) -> list[bytes]:
    """The control groups of a process, or of this one: ``0::/user.slice``, a line each. Raises OSError."""
    return _lines(_read(pid, "cgroup"))


def file_size_limit(pid: int) -> int | None:
    """The soft RLIMIT_FSIZE of a process in bytes; None without one. Raises OSError."""
    (limit,) = (line.split()[3] for line in _lines(_read(pid, "limits")) if line.startswith(b"Max file size"))
    return None if limit == b"unlimited" else int(limit)


def mounts(pid: int | None = None) -> list[bytes]:
    """The lines of a process's mount table, or of this one's (proc_pid_mountinfo(5)). Raises OSError."""
    return _lines(_read(pid, "mountinfo"))


# Which files a process holds


def threads(pid: int) -> Iterator[int]:
    """One thread for each table of descriptors of a process; the first also shows its memory. Raises OSError.

    Threads share one table unless they asked for another (CLONE_FILES in
    clone(2) and unshare(2)). A leader that has ended before its threads, by
    pthread_exit(3) in main, has neither table nor memory.
    """
    if not has_threads(pid):
        yield pid
        return
    ids = sorted(map(int, os.listdir(_path(pid, "task"))), key=lambda tid: (tid != pid, tid))
    if len(ids) > 1 and stat(pid).state == b"Z":
        ids.remove(pid)
    tables: list[int] = []
    for tid in ids:
        if not any(_share_descriptors(tid, other) for other in tables):
            tables.append(tid)
            yield tid


def has_threads(pid: int) -> bool:
    """Whether a process has more than one thread, going by its links. Raises OSError."""
    try:
        # A directory has two, and this one a further one for each thread.
        return os.stat(f"/proc/{pid}/task").st_nlink > 3
    except FileNotFoundError:
        return False  # it has ended, or a sandbox shows no threads


def _share_descriptors(one: int, other: int) -> bool:
    """Whether two threads have one table of descriptors; a thread that has ended has none of its own."""
    answer = _kcmp(one, other)
    if answer is not None:
        return answer == 0
    try:
        return descriptors(one) == descriptors(other)
    except (FileNotFoundError, ProcessLookupError):
        return True


def _kcmp(one: int, other: int) -> int | None:
    """0 if two threads have one table of descriptors, as kcmp(2) says; None where it cannot be had."""
    number = _KCMP.get(os.uname().machine)
    if number is None or struct.calcsize("l") != 8:
        return None
    from shmctl.core.libc import libc

    answer: int = libc.syscall(number, one, other, _KCMP_FILES, 0, 0)
    return None if answer < 0 else answer


def descriptors(pid: int | None) -> list[bytes]:
    """The numbers of the descriptors of a process, or of this one. Raises OSError."""
    return os.listdir(_path(pid, "fd"))


def descriptor_path(pid: int, fd: bytes) -> bytes:
    """What a descriptor leads to, ``/dev/shm/x (deleted)`` or ``pipe:[5]``. Raises OSError."""
    return os.readlink(b"/proc/%d/fd/%s" % (pid, fd))


def descriptor_info(pid: int, fd: bytes) -> tuple[int, int | None]:
    """The flags of a descriptor, and the inode where the kernel tells it: Linux 5.14. Raises OSError."""
    match = _FDINFO.match(_read_once(b"/proc/%d/fdinfo/%s" % (pid, fd)))
    if match is None:
        return 0, None
    return int(match[1], 8), None if match[2] is None else int(match[2])


def has_flock(fd: int) -> bool:
    """Whether a descriptor of this process has a lock of flock(2). Raises OSError."""
    return b"FLOCK" in _read(None, f"fdinfo/{fd}")


def descriptor_stat(pid: int, fd: bytes) -> os.stat_result:
    """fstat(2) of another process's descriptor. Raises OSError; may wait for a network file system."""
    return os.stat(b"/proc/%d/fd/%s" % (pid, fd))


def mount_id(fd: int) -> int | None:
    """The number in the mount table of what this process's descriptor ``fd`` is on. Raises OSError."""
    lines = _lines(_read(None, f"fdinfo/{fd}"))
    return next((int(line.split()[1]) for line in lines if line.startswith(b"mnt_id:")), None)


Mapping = tuple[int, int, str, int, int, int]
"""A mapping: start, end, access as letters, its file's device (major, minor) and inode."""


def mappings(pid: int | None, devices: Collection[int]) -> list[Mapping]:
    """The mappings of a process, or of this one: of files on ``devices`` all, of others some. Raises OSError.

    From the text where it is short, or else by asking the kernel for each mapping of a file.
    """
    fd = os.open(_path(pid, "maps"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = _read_up_to(fd, _SHORT)
        if text is None:
            try:
                return list(_query_mappings(fd, _addresses(pid)))
            except OSError as error:
                if error.errno != errno.ENOTTY:
                    raise
            text = _read_up_to(fd, None) or b""
    finally:
        os.close(fd)
    wanted = [b" %02x:%02x " % (os.major(device), os.minor(device)) for device in devices]
    return [_parse_mapping(line) for line in _lines_with_any(wanted, text)]


def mapped_file(pid: int, start: int, end: int) -> tuple[os.stat_result, bytes]:
    """stat(2) and path of what a process has mapped there, which takes privilege. Raises OSError."""
    link = _path(pid, f"map_files/{start:x}-{end:x}")
    return os.stat(link), os.readlink(link)


def mapped_path(pid: int, start: int) -> bytes:
    """The path of what a process has mapped there, a newline as ``\\012``; or nothing. Raises OSError."""
    begun = b"%08x-" % start
    line = next((line for line in _lines(_read(pid, "maps")) if line.startswith(begun)), b"")
    return b"".join(line.partition(b"/")[1:])


def _addresses(pid: int | None) -> list[int]:
    """Where mappings that have a file begin: the kernel lists them faster than it finds them in turn.

    None are listed where it does not list them at all, or not to us.
    """
    try:
        return [int(entry.partition(b"-")[0], 16) for entry in os.listdir(_path(pid, "map_files"))]
    except (FileNotFoundError, PermissionError):
        return []


def _query_mappings(fd: int, addresses: Sequence[int]) -> Iterator[Mapping]:
    """The mappings that begin at ``addresses``, or, without any, one after another."""
    if addresses:
        for address in addresses:
            mapping = _query(fd, address, _WITH_FILE)
            if mapping is not None:
                yield mapping
        return
    mapping = _query(fd, 0, _WITH_FILE | _OR_NEXT)
    while mapping is not None:
        yield mapping
        mapping = _query(fd, mapping[1], _WITH_FILE | _OR_NEXT)


def _query(fd: int, address: int, wanted: int) -> Mapping | None:
    query = bytearray(_QUERY.pack(_QUERY.size, wanted, address, *_ANSWER))
    try:
        fcntl.ioctl(fd, _PROCMAP_QUERY, query)
    except OSError as error:
        if error.errno in _GONE:  # no such mapping, or no memory at all
            return None
        raise
    _, _, _, start, end, flags, _, _, inode, major, minor, *_ = _QUERY.unpack(query)
    return start, end, _ACCESS[flags & 7], major, minor, inode


def _lines_with_any(parts: Collection[bytes], text: bytes) -> list[bytes]:
    """Most often none; then nothing is split."""
    if not any(part in text for part in parts):
        return []
    return [line for line in _lines(text) if any(part in line for part in parts)]


def _parse_mapping(line: bytes) -> Mapping:
    """A mapping out of the text (proc_pid_maps(5))."""
    addresses, permissions, _, device, inode, *_ = line.split(maxsplit=5)
    start, _, end = addresses.partition(b"-")
    major, _, minor = device.partition(b":")
    access = "".join(letter for letter in "rwx" if letter.encode() in permissions)
    return int(start, 16), int(end, 16), access, int(major, 16), int(minor, 16), int(inode)


# What the host has


def locks() -> list[bytes]:
    """The locks on files, a line each (proc_locks(5)). Raises OSError."""
    return _lines(_read_file(b"/proc/locks"))


def setting(name: str) -> int:
    """A number below /proc/sys (proc_sys(5)). Raises OSError."""
    return int(_read_file(f"/proc/sys/{name}".encode()))


def memory() -> dict[bytes, int]:
    """What /proc/meminfo says, in bytes, by name: ``MemTotal`` (proc_meminfo(5)). Raises OSError."""
    pairs = (line.split(b":", 1) for line in _lines(_read_file(b"/proc/meminfo")))
    return {name: int(value.split()[0]) << 10 for name, value in pairs if value.endswith(b"kB")}


# Files


def _path(pid: int | None, name: str) -> bytes:
    return f"/proc/{'self' if pid is None else pid}/{name}".encode()


def _read(pid: int | None, name: str) -> bytes:
    return _read_file(_path(pid, name))


def _read_once(path: bytes) -> bytes:
    """A small file, or the beginning of a larger one."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _read_file(path: bytes) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _read_up_to(fd, None) or b""
    finally:
        os.close(fd)


def _read_up_to(fd: int, limit: int | None) -> bytes | None:
    """All that a file has, from its beginning on; None if it has more bytes than ``limit``."""
    os.lseek(fd, 0, os.SEEK_SET)
    pieces = []
    size = 0
    while piece := os.read(fd, 1 << 16):
        pieces.append(piece)
        size += len(piece)
        if limit is not None and size > limit:
            return None
    return b"".join(pieces)


def _lines(text: bytes) -> list[bytes]:
    return text.removesuffix(b"\n").split(b"\n") if text else []
