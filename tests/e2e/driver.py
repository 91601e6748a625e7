"""Runs shmctl commands, one after another, wherever a test starts it: ``python -c`` gets this text.

A JSON object comes on standard input, see `tests.e2e.test_environments.Job`. A list for each command goes to
standard output: exit status, output, errors. The status is null if the command had to be killed. All bytes
are latin-1.
"""

import ctypes
import json
import os
import platform
import resource
import select
import struct
import sys
import time


def main() -> None:
    job = json.load(sys.stdin)
    if not job["exec"]:
        # Once for all commands, which are forked off.
        import shmctl.cli.group

        for name in shmctl.cli.group.COMMANDS:
            __import__(f"shmctl.commands.{name}")
    results = [run(job, [word.encode("latin-1") for word in argv]) for argv in job["commands"]]
    json.dump(results, sys.stdout)


def run(job: dict, argv: list[bytes]) -> list:
    pipes = [os.pipe(), os.pipe(), os.pipe()]
    (stdin, feed), (out, out_end), (err, err_end) = pipes
    os.write(feed, b"from a pipe")
    os.close(feed)
    pid = os.fork()
    if pid == 0:
        try:
            for fd, source in enumerate((stdin, out_end, err_end)):
                os.dup2(source, fd)
            os.closerange(3, 64)
            become(job, argv)
        finally:
            os._exit(99)
    for fd in (stdin, out_end, err_end):
        os.close(fd)
    texts = read_all(out, err, job["seconds"])
    if texts is None:
        os.kill(pid, 9)
    _, status = os.waitpid(pid, 0)
    if texts is None:
        return [None, "", ""]
    return [os.waitstatus_to_exitcode(status), *(text.decode("latin-1") for text in texts)]


def become(job: dict, argv: list[bytes]) -> None:
    for fd in job["closed"]:
        os.close(fd)
    if job["no_leases"]:
        refuse_leases()
    for name, value in job["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if job["exec"]:
        os.execv(sys.executable, [os.fsencode(sys.executable), b"-m", b"shmctl", *argv])
    from shmctl.cli.main import run_process

    os._exit(run_process([os.fsdecode(word) for word in argv]))


def read_all(out: int, err: int, seconds: float) -> list[bytes] | None:
    """What both say until they end; None if that takes too long."""
    said = {out: b"", err: b""}
    running = {out, err}
    deadline = time.monotonic() + seconds
    while running:
        ready = select.select(list(running), [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            break
        for fd in ready:
            data = os.read(fd, 65536)
            said[fd] += data
            if not data:
                running.remove(fd)
    os.close(out)
    os.close(err)
    return None if running else [said[out], said[err]]


def refuse_leases() -> None:
    """Let fcntl(F_SETLEASE) fail with EINVAL from here on, as where fs.leases-enable is 0: seccomp(2)."""
    number = {"x86_64": 72, "aarch64": 25}[platform.machine()]
    load, jump_if_equal, answer = 0x20, 0x15, 0x06
    program = [
        (load, 0, 0, 0),  # the number of the call
        (jump_if_equal, 0, 3, number),
        (load, 0, 0, 24),  # the second argument
        (jump_if_equal, 0, 1, 1024),
        (answer, 0, 0, 0x00050000 | 22),
        (answer, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filters):
        raise OSError(ctypes.get_errno(), "seccomp")


main()
