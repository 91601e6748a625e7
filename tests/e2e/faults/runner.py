"""Runs shmctl under strace's fault injection, again and again, in a /dev/shm of its own.

A process for itself, started in a new mount namespace; it reads a request in JSON from each line of its
standard input, and answers with a line. Everything is imported beforehand and each run is a fork, which
strace(1) is attached to before it begins: so a run costs hundredths of a second, and its calls are those
of the command alone, from the first to the last.
"""

import gc
import importlib
import json
import os
import pkgutil
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any

SHM = "/dev/shm"
SECONDS = 20
FOLDER = tempfile.mkdtemp(prefix="shmctl-faults-")
LOG = f"{FOLDER}/strace"
_CALL = re.compile(r"(\w+)\(")

State = dict[str, dict[str, Any]]


def main() -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=1777", "tmpfs", SHM], check=True)
    load_everything()
    try:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(serve(json.loads(line))) + "\n")
            sys.stdout.flush()
    finally:
        shutil.rmtree(FOLDER)


def load_everything() -> None:
    """What a command imports when it is needed must not count among its calls."""
    import shmctl
    import shmctl.cli.main as shmctl_main

    for module in pkgutil.walk_packages(shmctl.__path__, "shmctl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    warm_up = [
        ["create", "/warm", "-s", "10"],
        ["write", "/warm", "--struct", "int a:3; char b[2]", "a=1"],
        ["write", "/warm", "--type", "int", "1"],
        ["read", "/warm", "--json"],
        ["ls", "--json", "-o", "+holders,verdict"],
        ["stat", "/warm", "--json"],
        ["stat", "/warm"],
        ["leaks", "--json"],
        ["holders"],
        ["df", "--json"],
        ["sem", "create", "/warm"],
        ["sem", "ls"],
        ["sem", "unlink", "/warm"],
        ["gc", "--yes", "--min-age", "0"],
        ["rm", "-f", "/warm", "/not-there"],
    ]
    with open(os.devnull, "w") as null:
        sys.stdout, sys.stderr, kept = null, null, (sys.stdout, sys.stderr)
        for args in warm_up:
            shmctl_main.run(args)
        sys.stdout, sys.stderr = kept
    gc.collect()
    gc.freeze()


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """One run: ``files`` as they are before, ``args``, standard input, and what to ``inject``."""
    prepare(request["files"])
    before = state()
    answer = run(request["args"], request.get("stdin"), request.get("inject"), request.get("umask", 0o022))
    answer |= {"before": before, "after": state()}
    if request.get("leaks"):
        leaks = run(["leaks", "--json", "--min-age", "0"], None, None, 0o022, attach=False)
        answer["leaks"] = leaks["out"]
    return answer


def prepare(files: State) -> None:
    """Make /dev/shm hold exactly these."""
    for entry in os.listdir(SHM):
        os.unlink(f"{SHM}/{entry}")
    for name, wanted in files.items():
        path = f"{SHM}/{name}"
        with open(path, "wb") as file:
            file.write(wanted["content"].encode("latin-1"))
        os.chmod(path, wanted.get("mode", 0o600))
        # To the past, so that any change shows.
        os.utime(path, ns=(10**18, 10**18))
    path = f"{FOLDER}/input"
    with open(path, "wb") as file:
        file.write(b"file" * 1000)


def state() -> State:
    """All that stands in /dev/shm."""
    found = {}
    for entry in sorted(os.listdir(SHM)):
        st = os.lstat(f"{SHM}/{entry}")
        with open(f"{SHM}/{entry}", "rb") as file:
            content = file.read().decode("latin-1")
        found[entry] = {
            "content": content, "mode": st.st_mode & 0o7777, "uid": st.st_uid, "gid": st.st_gid,
            "inode": st.st_ino, "mtime": st.st_mtime_ns,
        }  # fmt: skip
    return found


def run(
    args: list[str], stdin: str | None, inject: str | None, umask: int, *, attach: bool = True
) -> dict[str, Any]:
    """Run one command to its end. ``stdin`` comes through a pipe; None is an empty file."""
    out, err = os.memfd_create("out"), os.memfd_create("err")
    given, feeder = stdin_of(stdin)
    pid = os.fork()
    if pid == 0:
        become(args, given, out, err, umask)
    os.close(given)
    os.waitpid(pid, os.WUNTRACED)
    strace = start_strace(pid, inject) if attach else None
    os.kill(pid, signal.SIGCONT)
    pidfd = os.pidfd_open(pid)
    hung = not select.select([pidfd], [], [], SECONDS)[0]
    os.close(pidfd)
    if hung:
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if strace:
        strace.wait()
        assert strace.stderr
        strace.stderr.close()
    if feeder:
        os.kill(feeder, signal.SIGKILL)
        os.waitpid(feeder, 0)
    calls, hit = read_log() if strace else ([], False)
    return {
        "status": status, "hung": hung, "hit": hit, "calls": calls,
        "out": contents(out), "err": contents(err),
    }  # fmt: skip


def stdin_of(data: str | None) -> tuple[int, int]:
    """A descriptor to read ``data`` from, and the PID of who writes it there."""
    if data is None:
        return os.open(os.devnull, os.O_RDONLY), 0
    reader, writer = os.pipe()
    feeder = os.fork()
    if feeder == 0:
        os.close(reader)
        left = memoryview(data.encode("latin-1"))
        try:
            while left:
                left = left[os.write(writer, left) :]
        finally:
            os._exit(0)
    os.close(writer)
    return reader, feeder


def become(args: list[str], stdin: int, out: int, err: int, umask: int) -> None:
    """Be shmctl: what __main__ does, in a process that stops first."""
    import shmctl.cli.main as shmctl_main

    status = 70
    try:
        for fd, stands_for in ((stdin, 0), (out, 1), (err, 2)):
            os.dup2(fd, stands_for)
        os.closerange(3, 64)
        os.umask(umask)
        os.chdir("/")
        os.kill(os.getpid(), signal.SIGSTOP)
        status = shmctl_main.run_process([arg.replace("INPUT", f"{FOLDER}/input") for arg in args])
    finally:
        os._exit(status)


def start_strace(pid: int, inject: str | None) -> "subprocess.Popen[bytes]":
    options = [] if inject is None else ["-e", f"trace={inject.partition(':')[0]}", "-e", f"inject={inject}"]
    argv = ["strace", "-o", LOG, "-s", "200", *options, "-p", str(pid)]
    strace = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert strace.stderr
    line = strace.stderr.readline()
    assert b"attached" in line, line + strace.stderr.read()
    return strace


def read_log() -> tuple[list[str], bool]:
    """The calls in their order, as strace writes them, and whether anything was injected."""
    with open(LOG, errors="replace") as file:
        lines = file.read().splitlines()
    calls = [line for line in lines if _CALL.match(line)]
    return calls, any("(INJECTED)" in line or "killed by SIGKILL" in line for line in lines)


def contents(fd: int) -> str:
    data = os.pread(fd, 1 << 20, 0)
    os.close(fd)
    return data.decode("latin-1")


if __name__ == "__main__":
    main()
