"""Which processes have objects open or mapped, from /proc: matched by device and inode, never by path."""

import errno
import fcntl
import os
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from shmctl.core.errors import failing_as
from shmctl.core.models import ObjectInfo

Identity = tuple[int, int]
"""(st_dev, st_ino)."""

_DELETED = " (deleted)"
_O_PATH_FLAG = os.O_PATH

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


@dataclass(slots=True)
class Holder:
    """One process and one object that it has open or mapped.

    ``access`` has the letters r, w and x of its descriptors and mappings;
    ``mapped`` is in bytes; ``fds`` are its descriptors' numbers; ``path`` and
    ``st`` are the object's, as far as a descriptor shows them;
    ``first_mapping`` is an address range.
    """

    pid: int
    identity: Identity
    uid: int
    command: str
    access: str = ""
    mapped: int = 0
    fds: list[int] = field(default_factory=list)
    path: str = ""
    st: os.stat_result | None = None
    first_mapping: tuple[int, int] | None = None

    def add_access(self, letters: str) -> None:
        """Take in what one more descriptor or mapping allows."""
        self.access = "".join(letter for letter in "rwx" if letter in self.access + letters)


@dataclass(slots=True)
class Scan:
    """All holders that were found, and how many processes would not be inspected."""

    holders: list[Holder] = field(default_factory=list)
    uninspected: int = 0


def scan_processes(devices: Collection[int], inodes: Collection[int] | None = None) -> Scan:
    """Every holder of a file on ``devices`` (st_dev numbers), or of ``inodes`` there alone.

    A process that ends meanwhile is left out; this process is, too. Raises
    FileError where /proc cannot be read at all: that would look as if nobody held anything.
    """
    scan = Scan()
    own_pid = os.getpid()
    with failing_as("readdir", b"/proc"):
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    for pid in pids:
        if pid == own_pid:
            continue
        try:
            scan.holders += _Process(pid, devices, inodes).holders()
        except OSError as error:
            # Whatever else keeps a process shut, its holdings are not known.
            scan.uninspected += error.errno not in (errno.ENOENT, errno.ESRCH, errno.EINVAL)
    return scan


def find_holders(infos: Collection[ObjectInfo]) -> Scan:
    """The holders of certain objects alone."""
    devices, inodes = {info.st.st_dev for info in infos}, {info.st.st_ino for info in infos}
    return scan_processes(devices, inodes)


@dataclass(frozen=True, slots=True)
class Unlinked:
    """An object without a name that still takes memory, ``allocated`` bytes, until its holders let go.

    ``name`` is the one it had; it and the sizes are None where they cannot be told.
    """

    identity: Identity
    name: bytes | None
    size: int | None
    allocated: int | None
    holders: tuple[Holder, ...]


def find_unlinked(scan: Scan, device: int, named: Collection[int]) -> list[Unlinked]:
    """Every object on ``device`` in ``scan`` that has no name any more, the largest first.

    ``named`` are the inodes that the directory has: what /proc shows as
    ``x (deleted)`` may be a live object of that very name.
    """
    by_identity: dict[Identity, list[Holder]] = {}
    for holder in scan.holders:
        if holder.identity[0] == device:
            by_identity.setdefault(holder.identity, []).append(holder)
    unlinked = []
    for identity, holders in by_identity.items():
        if identity[1] in named:
            continue
        st, path = _look_through(holders)
        if path.endswith(_DELETED) and (st is None or st.st_nlink == 0):
            name = os.fsencode(path.removesuffix(_DELETED))
            base = b"/" + name.rpartition(b"/")[2]
            size, allocated = (st.st_size, st.st_blocks * 512) if st else (None, None)
            unlinked.append(Unlinked(identity, base, size, allocated, tuple(holders)))
    return sorted(unlinked, key=lambda each: -(each.allocated or 0))


def _look_through(holders: list[Holder]) -> tuple[os.stat_result | None, str]:
    """What a holder's descriptor shows of an object, or else its mapping, which takes more privilege."""
    for holder in holders:
        if holder.st is not None:
            return holder.st, holder.path
    for holder in holders:
        if holder.first_mapping is not None:
            start, end = holder.first_mapping
            link = f"/proc/{holder.pid}/map_files/{start:x}-{end:x}"
            try:
                return os.stat(link), os.readlink(link)
            except OSError:
                path = _path_of_mapping(holder.pid, start)
                if path:
                    return None, path
    return None, ""


def _path_of_mapping(pid: int, start: int) -> str:
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            line = next((line for line in file if line.startswith(f"{start:08x}-")), "")
    except OSError:
        return ""
    return line.rstrip("\n").partition("/")[2] and "/" + line.rstrip("\n").partition("/")[2]


class _Process:
    def __init__(self, pid: int, devices: Collection[int], inodes: Collection[int] | None) -> None:
        self._root = f"/proc/{pid}"
        self._pid = pid
        self._devices = devices
        self._inodes = inodes
        self._found: dict[Identity, Holder] = {}

    def holders(self) -> list[Holder]:
        """What this process holds."""
        self._inspect_descriptors()
        self._inspect_mappings()
        return list(self._found.values())

    def _inspect_descriptors(self) -> None:
        for entry in os.listdir(f"{self._root}/fd"):
            try:
                self._inspect_descriptor(entry)
            except (FileNotFoundError, ProcessLookupError):
                continue

    def _inspect_descriptor(self, entry: str) -> None:
        path = os.readlink(f"{self._root}/fd/{entry}")
        if not path.startswith("/"):
            return
        info = self._fdinfo(entry)
        inode = info.get("ino")
        if inode is not None and not self._may_match(int(inode), path):
            # Asking the file itself could wait for a network file system that is gone.
            return
        st = os.stat(f"{self._root}/fd/{entry}")
        if not self._matches(st.st_dev, st.st_ino):
            return
        flags = int(info.get("flags", "0"), 8)
        if flags & _O_PATH_FLAG:
            return
        holder = self._holder((st.st_dev, st.st_ino), path)
        holder.st = st
        holder.fds.append(int(entry))
        holder.add_access({os.O_RDONLY: "r", os.O_WRONLY: "w"}.get(flags & os.O_ACCMODE, "rw"))

    def _fdinfo(self, entry: str) -> dict[str, str]:
        # pos, flags, mnt_id and ino come first; epoll and the like append more.
        lines = self._read(f"fdinfo/{entry}").decode("ascii", "replace").splitlines()[:4]
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def _may_match(self, inode: int, path: str) -> bool:
        return self._inodes is None or inode in self._inodes or path.endswith(_DELETED)

    def _matches(self, device: int, inode: int) -> bool:
        return device in self._devices and (self._inodes is None or inode in self._inodes)

    def _inspect_mappings(self) -> None:
        fd = os.open(f"{self._root}/maps", os.O_RDONLY | os.O_CLOEXEC)
        try:
            mappings = self._mappings(fd)
        finally:
            os.close(fd)
        for start, end, access, major, minor, inode in mappings:
            if self._inodes is not None and inode not in self._inodes:
                continue
            identity = (os.makedev(major, minor), inode)
            if identity[0] in self._devices:
                holder = self._holder(identity, "")
                holder.mapped += end - start
                holder.first_mapping = holder.first_mapping or (start, end)
                holder.add_access(access)

    def _mappings(self, fd: int) -> list["_Mapped"]:
        """From the text where it is short, or else by asking the kernel for each mapping of a file."""
        text = _read_maps(fd, _SHORT)
        if text is None:
            try:
                return list(_query_mappings(fd, self._addresses()))
            except OSError as error:
                if error.errno != errno.ENOTTY:
                    raise
            text = _read_maps(fd, None) or b""
        devices = [b" %02x:%02x " % (os.major(device), os.minor(device)) for device in self._devices]
        return [_parse_mapping(line) for line in _lines_with_any(devices, text)]

    def _addresses(self) -> list[int]:
        """Where mappings that have a file begin: the kernel lists them faster than it finds them in turn.

        None are listed where it does not list them at all, or not to us.
        """
        try:
            return [int(entry.partition("-")[0], 16) for entry in os.listdir(f"{self._root}/map_files")]
        except (FileNotFoundError, PermissionError):
            return []

    def _holder(self, identity: Identity, path: str) -> Holder:
        if identity not in self._found:
            uid = os.stat(self._root).st_uid
            command = self._read("comm").decode("utf-8", "surrogateescape").removesuffix("\n")
            self._found[identity] = Holder(self._pid, identity, uid, command)
        holder = self._found[identity]
        holder.path = holder.path or path
        return holder

    def _read(self, file: str) -> bytes:
        fd = os.open(f"{self._root}/{file}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 4096)
        finally:
            os.close(fd)


_Mapped = tuple[int, int, str, int, int, int]
"""A mapping: start, end, access as letters, its file's device (major, minor) and inode."""


def _query_mappings(fd: int, addresses: Sequence[int]) -> Iterator[_Mapped]:
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


def _query(fd: int, address: int, wanted: int) -> _Mapped | None:
    query = bytearray(_QUERY.pack(_QUERY.size, wanted, address, *_ANSWER))
    try:
        fcntl.ioctl(fd, _PROCMAP_QUERY, query)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):  # no such mapping, or no memory at all
            return None
        raise
    _, _, _, start, end, flags, _, _, inode, major, minor, *_ = _QUERY.unpack(query)
    return start, end, _ACCESS[flags & 7], major, minor, inode


def _read_maps(fd: int, limit: int | None) -> bytes | None:
    """The text of /proc/PID/maps; None if it has more bytes than ``limit``."""
    os.lseek(fd, 0, os.SEEK_SET)
    pieces = []
    size = 0
    while piece := os.read(fd, 1 << 16):
        pieces.append(piece)
        size += len(piece)
        if limit is not None and size > limit:
            return None
    return b"".join(pieces)


def _lines_with_any(parts: Collection[bytes], text: bytes) -> list[bytes]:
    """Most often none; then nothing is split. A line of /proc ends at a newline and nowhere else."""
    if not any(part in text for part in parts):
        return []
    return [line for line in text.split(b"\n") if any(part in line for part in parts)]


def _parse_mapping(line: bytes) -> _Mapped:
    """A mapping out of the text (proc_pid_maps(5))."""
    addresses, permissions, _, device, inode, *_ = line.split(maxsplit=5)
    start, _, end = addresses.partition(b"-")
    major, _, minor = device.partition(b":")
    access = "".join(letter for letter in "rwx" if letter.encode() in permissions)
    return int(start, 16), int(end, 16), access, int(major, 16), int(minor, 16), int(inode)
