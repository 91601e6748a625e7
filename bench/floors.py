"""What a work costs Python itself: the imports that shmctl stands on, the calls, and a line for each object.

The benches run it beside shmctl: nothing written in Python with these libraries can be much faster.
Usage: bench/floors.py listing|json|leases|holders|links
"""

import fcntl
import mmap  # noqa: F401
import os
import sys
import time
from collections.abc import Iterator

import click  # noqa: F401
import posix_ipc  # noqa: F401

SHM = "/dev/shm"


def looks() -> Iterator[tuple[str, os.stat_result, str]]:
    """The objects by name, and when each was modified."""
    fd = os.open(SHM, os.O_RDONLY)
    for name in sorted(os.listdir(fd)):
        st = os.stat(name, dir_fd=fd, follow_symlinks=False)
        yield name, st, time.strftime("%FT%T", time.localtime(st.st_mtime))


def listing() -> None:
    for name, st, moment in looks():
        size, allocated, mode = st.st_size, st.st_blocks * 512, st.st_mode
        sys.stdout.write(f"/{name:20} {size:8} {allocated:8} {mode:o} {st.st_uid} {st.st_gid} {moment}\n")


def json() -> None:
    from json import JSONEncoder

    encode = JSONEncoder().encode
    for name, st, moment in looks():
        record = {"name": "/" + name, "path": f"{SHM}/{name}", "kind": "shm", "size": st.st_size}
        record |= {"allocated": st.st_blocks * 512, "mode": f"{st.st_mode:o}", "uid": st.st_uid}
        record |= {"owner": "root", "gid": st.st_gid, "group": "root", "nlink": st.st_nlink}
        record |= {"inode": st.st_ino, "device": st.st_dev}
        record |= {"atime": moment, "mtime": moment, "ctime": moment}
        sys.stdout.write(encode(record) + "\n")


def leases() -> None:
    """Whether anybody uses each object, as the kernel's write lease tells."""
    for name, st, moment in looks():
        fd = os.open(f"{SHM}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.fstat(fd)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(fd)
        sys.stdout.write(f"/{name:20} {st.st_blocks * 512:8} free, changed {moment}\n")


def links() -> Iterator[str]:
    """The processes, after a look at where their descriptors lead."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fd = os.open(f"/proc/{pid}/fd", os.O_RDONLY)
            for number in os.listdir(fd):
                os.readlink(number, dir_fd=fd)
            os.close(fd)
        except OSError:  # it has ended
            continue
        yield pid


def holders() -> None:
    """Of processes whose descriptors are known, the mappings, name, owner and control group, too."""
    for pid in links():
        found = []
        for name in ("maps", "comm", "cgroup"):
            with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
                found.append(file.read())
        sys.stdout.write(f"{pid} {os.stat(f'/proc/{pid}').st_uid} {found[1]!r} {len(found[0])}\n")


def main() -> None:
    match sys.argv[1]:
        case "links":
            list(links())
        case "holders":
            holders()
        case "leases":
            leases()
        case "json":
            json()
        case _:
            listing()


if __name__ == "__main__":
    main()
