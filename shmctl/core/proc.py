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
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from shmctl.core.errors import failing_as

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
# A line of /proc/PID/maps; the path behind it may hold anything but a newline.
_MAPPING = rb"([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (%s) (\d+)"
# Bytes of text up to which reading a process's mappings is faster than asking for them one by one.
_SHORT = 1 << 14
# A path cannot forge these: its spaces are escaped.
_ON_NODE = rb" N(\d+)=(\d+)"
_PAGE_SIZE = rb" kernelpagesize_kB=(\d+)"
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


# futex and futex_wait.
_FUTEX_CALLS = {"x86_64": (b"202", b"455"), "aarch64": (b"98", b"455")}
# Whatever stands there by then: nothing is waited for, and no terminal taken.
_OPEN_TO_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


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
    text = f"{'1 process' if count == 1 else f'{count} processes'} could not be inspected"
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
    parent: int

    @property
    def is_dead(self) -> bool:
        """Whether it waits for its parent alone. A leader without threads is meant: others may live on."""
        return self.state in (b"Z", b"X") and self.threads <= 1


def stat(pid: int) -> Stat:
    """The state of a process. Raises OSError."""
    # The command is in the middle, in parentheses, and may contain some itself.
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    start = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return Stat(fields[0], int(fields[6]), int(fields[17]), start, int(fields[1]))


def namespace_pids(pid: int) -> list[int]:
    """A process's PID in each PID namespace that it is in, from this one inwards. Raises OSError."""
    for line in _read(pid, "status").split(b"\n"):
        if line.startswith(b"NSpid:"):
            return [int(number) for number in line.split()[1:]]
    return [pid]  # a sandbox made this file up


def command(pid: int) -> bytes:
    """A process's name for itself: up to 15 bytes, or 63 of a kernel thread. Raises OSError."""
    return _read_once(_path(pid, "comm")).removesuffix(b"\n")


def command_line(pid: int) -> bytes:
    """The words a process was started with, separated by spaces; b"" once it has ended. Raises OSError."""
    return _read_once(_path(pid, "cmdline")).rstrip(b"\0").replace(b"\0", b" ")


def resident(pid: int) -> int:
    """The memory of a process that is in its page tables, in bytes. Raises OSError."""
    return int(_read_once(_path(pid, "statm")).split()[1]) * os.sysconf("SC_PAGE_SIZE")


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


def program(pid: int) -> tuple[bytes, bytes]:
    """A path that opens the program of a process, wherever it lies, and its own path. Raises OSError."""
    path = _path(pid, "exe")
    return path, os.readlink(path).removesuffix(b" (deleted)")


def process_of(tid: int) -> int:
    """The PID of the process that a thread belongs to. Raises OSError."""
    for line in _read(tid, "status").split(b"\n"):
        if line.startswith(b"Tgid:"):
            return int(line.split()[1])
    return tid


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


def descriptor_paths(pid: int) -> Iterator[tuple[bytes, bytes]]:
    """The descriptors and what each leads to, ``/dev/shm/x (deleted)`` or ``pipe:[5]``. Raises OSError."""
    # From its directory on the kernel looks for no process: a fifth of the time.
    directory = os.open(_path(pid, "fd"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for fd in map(str.encode, os.listdir(directory)):
            try:
                path = os.readlink(fd, dir_fd=directory)
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield fd, path
    finally:
        os.close(directory)


def own_path(fd: int) -> bytes:
    """What a descriptor of this process leads to. Raises OSError."""
    return os.readlink(b"/proc/self/fd/%d" % fd)


def descriptor_info(pid: int, fd: bytes) -> tuple[int, int | None]:
    """The flags of a descriptor, and the inode where the kernel tells it: Linux 5.14. Raises OSError."""
    match = _FDINFO.match(_read_once(b"/proc/%d/fdinfo/%s" % (pid, fd)))
    if match is None:
        return 0, None
    return int(match[1], 8), None if match[2] is None else int(match[2])


def has_flock(fd: int) -> bool:
    """Whether a descriptor of this process has a lock of flock(2). Raises OSError."""
    return b"FLOCK" in _read(None, f"fdinfo/{fd}")


def descriptor_locks(pid: int, fd: int) -> list[bytes]:
    """The locks that a descriptor has, in lines as /proc/locks has them. Raises OSError."""
    lines = _lines(_read(pid, f"fdinfo/{fd}"))
    return [line.removeprefix(b"lock:").strip() for line in lines if line.startswith(b"lock:")]


def thread_ids(pid: int) -> list[int]:
    """The threads of a process. Raises OSError."""
    return sorted(map(int, os.listdir(_path(pid, "task"))))


def futex_address(tid: int) -> int | None:
    """The address that a thread sleeps on in futex(2); None if it does not. Raises OSError."""
    number, *arguments = _read_once(_path(tid, "syscall")).split()
    if number not in _FUTEX_CALLS.get(os.uname().machine, ()):
        return None
    return int(arguments[0], 16)


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
    found = []
    for start, end, permissions, _, device, inode in _mappings_in(text, devices):
        major, minor = device.split(b":")
        access = "".join(letter for letter in "rwx" if letter.encode() in permissions)
        found.append((int(start, 16), int(end, 16), access, int(major, 16), int(minor, 16), int(inode)))
    return found


def mapped_file(pid: int, start: int, end: int) -> tuple[os.stat_result, bytes]:
    """stat(2) and path of what a process has mapped there, which takes privilege. Raises OSError."""
    link = _path(pid, f"map_files/{start:x}-{end:x}")
    return os.stat(link), os.readlink(link)


def open_mapped_file(pid: int, start: int, end: int) -> int:
    """Open, to read, the file that a process has mapped there, which takes privilege. Raises OSError."""
    return os.open(_path(pid, f"map_files/{start:x}-{end:x}"), _OPEN_TO_READ)


def open_descriptor(pid: int, fd: int) -> int:
    """Open anew, to read, the file that a process has open as ``fd``. Raises OSError."""
    return os.open(_path(pid, f"fd/{fd}"), _OPEN_TO_READ)


def open_memory(pid: int) -> int:
    """Open the memory of a process, to read at its addresses. Raises OSError."""
    return os.open(_path(pid, "mem"), os.O_RDONLY | os.O_CLOEXEC)


class MappedPart(NamedTuple):
    """Where a process has a part of a file in its memory: start and end addresses, and offset in the file."""

    start: int
    end: int
    offset: int


def mapped_parts(pid: int, device: int, inode: int) -> list[MappedPart]:
    """Where a process can read a file in its own memory, by offset. Raises OSError."""
    parts = [
        MappedPart(int(start, 16), int(end, 16), int(offset, 16))
        for start, end, permissions, offset, _, number in _mappings_in(_read(pid, "maps"), [device])
        if int(number) == inode and b"r" in permissions
    ]
    return sorted(parts, key=lambda part: part.offset)


class MappedCode(NamedTuple):
    """A file that a process has mapped to execute it: paths that may open it, device, inode, its own path."""

    paths: tuple[bytes, ...]
    device: int
    inode: int
    name: bytes


def mapped_code(pid: int) -> Iterator[MappedCode]:
    """The files that a process has mapped to execute them, each once. Raises OSError."""
    seen = set[tuple[bytes, bytes]]()
    for line in _lines(_read(pid, "maps")):
        words = line.split(None, 5)
        if len(words) < 6 or b"x" not in words[1] or not words[5].startswith(b"/"):
            continue
        if (words[3], words[4]) in seen:
            continue
        seen.add((words[3], words[4]))
        major, minor = (int(number, 16) for number in words[3].split(b":"))
        start, end = (int(number, 16) for number in words[0].split(b"-"))
        name = words[5].removesuffix(b" (deleted)")
        paths = (_path(pid, f"map_files/{start:x}-{end:x}"), _path(pid, "root") + name)
        yield MappedCode(paths, os.makedev(major, minor), int(words[4]), name)


def mapped_path(pid: int, start: int) -> bytes:
    """The path of what a process has mapped there, a newline as ``\\012``; or nothing. Raises OSError."""
    begun = b"%08x-" % start
    line = next((line for line in _lines(_read(pid, "maps")) if line.startswith(begun)), b"")
    return b"".join(line.partition(b"/")[1:])


class PageCounts(NamedTuple):
    """Bytes of some mappings in the page tables, those of them that are dirty or huge, and those in swap."""

    resident: int
    dirty: int
    huge: int
    swapped: int


_COUNTED = {
    b"Rss": 0,
    b"Shared_Dirty": 1,
    b"Private_Dirty": 1,
    b"ShmemPmdMapped": 2,
    b"FilePmdMapped": 2,
    b"Shared_Hugetlb": 2,
    b"Swap": 3,
}


def page_counts(pid: int | None, starts: Collection[int], deadline: float) -> PageCounts:
    """The pages of the mappings that begin at ``starts`` (proc_pid_smaps(5)).

    Raises OSError, ETIMEDOUT when time.monotonic() passes ``deadline``.
    """
    counts = [0, 0, 0, 0]
    wanted = False
    for line in _each_line(_path(pid, "smaps"), deadline):
        if line[:1].isupper():
            name, _, amount = line.partition(b":")
            if wanted and name in _COUNTED:
                counts[_COUNTED[name]] += int(amount.split()[0]) << 10
        else:
            wanted = int(line.partition(b"-")[0], 16) in starts
    return PageCounts(*counts)


def pages_by_node(pid: int, starts: Collection[int], deadline: float) -> dict[int, int] | None:
    """The bytes of the mappings that begin at ``starts`` by NUMA node (numa(7)); None without NUMA.

    Raises OSError, ETIMEDOUT when time.monotonic() passes ``deadline``.
    """
    nodes: dict[int, int] = {}
    try:
        for line in _each_line(_path(pid, "numa_maps"), deadline):
            start, _, rest = line.partition(b" ")
            if int(start, 16) in starts:
                unit = int(re.findall(_PAGE_SIZE, rest)[-1]) << 10 if b"kernelpagesize_kB=" in rest else 0
                for node, count in re.findall(_ON_NODE, rest):
                    nodes[int(node)] = nodes.get(int(node), 0) + int(count) * unit
    except FileNotFoundError:
        return None if exists(pid) else nodes
    return nodes


_PRESENT, _FRAME = 1 << 63, (1 << 55) - 1


def frames(page: int, count: int) -> list[int]:
    """The page frames of those of ``count`` pages of this process that are mapped (/proc/PID/pagemap).

    Raises OSError, EPERM where the numbers are kept from this process.
    """
    fd = os.open(_path(None, "pagemap"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        entries = array("Q", os.pread(fd, 8 * count, 8 * page))
    finally:
        os.close(fd)
    found = [entry & _FRAME for entry in entries if entry & _PRESENT]
    if 0 in found:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    return found


def charged_groups(frames: Iterable[int]) -> Counter[int]:
    """How many page frames each memory control group is charged for, by the inode of its directory.

    Of a group that has been removed the kernel names the nearest one above it that has not, and 0 where it
    knows none. Raises OSError before it looks at ``frames`` if /proc/kpagecgroup is not for this process.
    """
    fd = os.open("/proc/kpagecgroup", os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = Counter(os.pread(fd, 8, 8 * frame) for frame in frames)
    finally:
        os.close(fd)
    return Counter({int.from_bytes(inode, sys.byteorder): count for inode, count in found.items()})


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


def _mappings_in(text: bytes, devices: Iterable[int]) -> list[tuple[bytes, ...]]:
    """Start, end, permissions, offset, device and inode of mappings on ``devices``, from proc_pid_maps(5)."""
    found: list[tuple[bytes, ...]] = []
    for device in devices:
        number = b"%02x:%02x" % (os.major(device), os.minor(device))
        # Most lines are of other devices: matching them all would take three times as long.
        if number in text:
            matches = (re.match(_MAPPING % number, line) for line in text.split(b"\n") if number in line)
            found += [match.groups() for match in matches if match]
    return found


# What the host has


def locks() -> list[bytes]:
    """The locks on files, a line each (proc_locks(5)). Raises OSError."""
    return _lines(_read_file(b"/proc/locks"))


def system_v_memory() -> tuple[int, int] | None:
    """How many System V segments of this IPC namespace take memory, and how much, swap included.

    In bytes (proc_sysvipc(5)); None where the kernel has none.
    """
    try:
        heading, *rows = (line.split() for line in _lines(_read_file(b"/proc/sysvipc/shm")))
    except OSError:
        return None
    taken = [sum(int(row[heading.index(column)]) for column in (b"rss", b"swap")) for row in rows]
    return len([each for each in taken if each]), sum(taken)


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


def _each_line(path: bytes, deadline: float) -> Iterator[bytes]:
    """The lines of a long file, of which little is in memory at a time."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        rest = b""
        while piece := os.read(fd, 1 << 16):
            if time.monotonic() > deadline:
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
    finally:
        os.close(fd)


def _lines(text: bytes) -> list[bytes]:
    return text.removesuffix(b"\n").split(b"\n") if text else []
