"""Checks of capacity, use and other limits."""

from shmctl.core import proc
from shmctl.core.cgroup import smallest_limit
from shmctl.core.inspect.doctor.examination import Examination
from shmctl.core.inspect.doctor.findings import Outcome, note, ok, problem, warning
from shmctl.core.names import escape
from shmctl.core.sizes import human_size

CONTAINER_DEFAULT = 64 << 20
_HIGH, _CRITICAL = 80, 95
_ON_MEMORY = ("tmpfs", "ramfs", "devtmpfs")


def check_size(case: Examination) -> Outcome:
    """Does memory run out before /dev/shm is full?"""
    if case.mount is not None and case.mount.fstype not in _ON_MEMORY:
        return ok(f"{case.mount.fstype} takes its {human_size(case.capacity)} from a disk, not from memory")
    values = proc.memory()
    memory, swap = values[b"MemTotal"], values.get(b"SwapTotal", 0)
    have = f"{human_size(memory)} of memory" + (f" and {human_size(swap)} of swap" if swap else "")
    advice = case.command(f"mount -o remount,size={memory // 2 >> 20}M /dev/shm")
    if not case.capacity:
        return warning(f"without limit: filling it takes all of {have}", advice)
    shown = f"{human_size(case.capacity)}, and there are {have}"
    if case.capacity >= memory + swap:
        return warning(f"{shown}: memory runs out, and processes are killed, before it is full", advice)
    if case.capacity > memory:
        return note(f"{shown}: filled, it pushes programs out into swap", advice)
    if case.capacity > memory // 2 + (1 << 20):
        return note(f"{shown}: the usual size is half of the memory")
    return ok(shown)


def check_container_default(case: Examination) -> Outcome:
    """Is it the 64 MiB that container engines give unasked?"""
    if case.capacity == CONTAINER_DEFAULT:
        return warning(
            "the 64 MiB that container engines give unasked: programs that need more die of SIGBUS",
            "start the container with --shm-size, or with --ipc=host; in Kubernetes, mount an emptyDir with "
            "'medium: Memory' on /dev/shm",
        )
    return ok("not the 64 MiB that container engines give unasked")


def check_memory_fill(case: Examination) -> Outcome:
    """How full of bytes is it?"""
    vfs = case.vfs
    used = (vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize
    what = f"{human_size(used)} of {human_size(case.capacity)} used"
    return _filled(what, vfs.f_blocks - vfs.f_bfree, vfs.f_blocks, "the next store ends in SIGBUS or ENOSPC")


def check_inodes(case: Examination) -> Outcome:
    """How many more objects can there be?"""
    vfs = case.vfs
    used = vfs.f_files - vfs.f_ffree
    what = f"{used} of {vfs.f_files} inodes used"
    return _filled(what, used, vfs.f_files, "no more objects can be made (ENOSPC)", "nr_inodes")


def _filled(what: str, used: int, limit: int, consequence: str, option: str = "size") -> Outcome:
    if not limit:
        return ok(f"no limit ({option}=0)")
    percent = 100 * used // limit
    advice = "'shmctl df' shows what fills it, 'shmctl gc' removes what nobody uses"
    if percent >= _CRITICAL:
        return problem(f"{what}, {percent}%: when it is full, {consequence}", advice)
    if percent >= _HIGH:
        return warning(f"{what}, {percent}%", advice)
    return ok(f"{what}, {percent}%")


def check_memory_limit(case: Examination) -> Outcome:
    """Is the process killed before /dev/shm is full? What it stores there counts as its memory."""
    found = smallest_limit(case.pid)
    if found is None:
        return ok("no cgroup limits the memory of the process")
    limit, group = found
    shown = f"cgroup {escape(group)} limits memory to {human_size(limit)}, objects included"
    if case.capacity and case.capacity <= limit:
        return ok(f"{shown}; /dev/shm holds {human_size(case.capacity)} at most")
    size = human_size(case.capacity) if case.capacity else "any amount"
    return warning(
        f"{shown}, and /dev/shm takes {size}: processes are killed before it is full",
        case.command(f"mount -o remount,size={limit // 2 >> 10}K /dev/shm") + ", or a higher limit",
    )


def check_file_size_limit(case: Examination) -> Outcome:
    """RLIMIT_FSIZE holds for objects, too."""
    limit = _file_size_limit(case.pid)
    if limit is None:
        return ok("no limit on the size of files, which holds for objects, too")
    return warning(
        f"no object can grow over {human_size(limit)} (RLIMIT_FSIZE): ftruncate(2) fails with EFBIG, "
        "or SIGXFSZ ends the program",
        "ulimit -f unlimited, in the shell or service that starts the program",
    )


def _file_size_limit(pid: int | None) -> int | None:
    if pid is None:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return None if limit == resource.RLIM_INFINITY else limit
    return proc.file_size_limit(pid)
