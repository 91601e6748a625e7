"""shmctl events: what C programs and shells do, as it is reported while they do it."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import (
    as_nobody,
    compile_c,
    done,
    environment,
    path_of,
    python_for_all,
    race_rounds,
    run,
    shmctl_argv,
)

needs_root = pytest.mark.needs_root
SECONDS = 30

# Creates and removes N objects: PREFIX, or PREFIX and a number.
LOOP = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int rounds = atoi(argv[2]), numbered = argc > 3;
    char name[250];
    for (int i = 0; i < rounds; i++) {
        if (numbered)
            snprintf(name, sizeof name, "%s-%d", argv[1], i);
        else
            snprintf(name, sizeof name, "%s", argv[1]);
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd == -1)
            return 1;
        close(fd);
        if (shm_unlink(name) == -1)
            return 1;
    }
    return 0;
}
"""
REMOVER = r"""
#include <sys/mman.h>

int main(int argc, char **argv)
{
    return shm_unlink(argv[argc - 1]) != 0;
}
"""


class Watcher:
    """A running `shmctl events --json`, and the events that it has written so far."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.errors = b""
        self._events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._collect)
        self._reader.start()

    def end(self, marker: str) -> list[dict[str, Any]]:
        """Interrupt it, as Ctrl-C does, once it has reported ``marker`` as created; the other events."""
        deadline = time.monotonic() + SECONDS
        while not any(event["name"] == marker for event in list(self._events)):
            assert time.monotonic() < deadline, "the marker is not reported"
            # Anew each time: where the queue is full it is lost, too.
            path_of(marker).unlink(missing_ok=True)
            path_of(marker).touch()
            time.sleep(0.05)
        self.process.send_signal(signal.SIGINT)
        return [event for event in self.wait() if event["name"] != marker]

    def has_told(self, count: int) -> None:
        """Wait for as many events: the kernel makes one of two alike that nobody has read in between."""
        deadline = time.monotonic() + SECONDS
        while len(self._events) < count:
            assert time.monotonic() < deadline, self._events
            time.sleep(0.005)

    def wait(self) -> list[dict[str, Any]]:
        """All its events, once it has ended."""
        self._reader.join(SECONDS)
        assert self.process.wait(SECONDS) in (0, 130)
        return self._events

    def _collect(self) -> None:
        """Read on, so that nothing it writes makes it wait."""
        assert self.process.stdout
        assert self.process.stderr
        for line in self.process.stdout:
            self._events.append(json.loads(line))
        self.errors = self.process.stderr.read()


@contextmanager
def watching(*args: str, argv: list[str | bytes] | None = None) -> Iterator[Watcher]:
    """Events of ``args``, all that happens from here on among them."""
    read_end, write_end = os.pipe()
    command = [*(argv or shmctl_argv()), "events", "--json", "--ready-fd", str(write_end), *args]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[write_end], env=environment()
    ) as process:
        os.close(write_end)
        assert os.read(read_end, 1) == b"\n", process.communicate()
        os.close(read_end)
        watcher = Watcher(process)
        try:
            yield watcher
        finally:
            process.kill()


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_c(LOOP, tmp_path_factory.mktemp("events"), "loop")


@pytest.fixture(scope="module")
def remover(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_c(REMOVER, tmp_path_factory.mktemp("events"), "remover")


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def test_each_kind(name: str) -> None:
    path = path_of(name)
    with watching("--only", "create,resize,write,rename,remove,mode,owner,link", f"{name}*") as watcher:
        commands = (
            ["create", name],
            ["truncate", name, "-s", "5000"],
            ["chmod", "640", name],
            ["truncate", name, "-s", "100"],
        )
        for count, command in enumerate(commands, 1):
            done(*command)
            watcher.has_told(count)
        with path.open("ab") as file:
            file.write(b"more")
        watcher.has_told(5)
        path.with_name(path.name + "-2").hardlink_to(path)
        watcher.has_told(6)
        path.with_name(path.name + "-2").unlink()
        done("mv", name, f"{name}-3")
        done("unlink", f"{name}-3")
        done("write", name, "x", "--create", "--atomic")
        events = watcher.end(f"{name}-end")
    assert kinds(events) == [
        *("create", "resize", "mode", "resize", "write", "link", "remove", "rename", "remove", "create")
    ]
    assert [event["size"] for event in events[1:5]] == [5000, 5000, 100, 104]
    assert (events[7]["name"], events[7]["new_name"]) == (name, f"{name}-3")
    assert watcher.process.returncode == 130
    assert watcher.errors == b"" or os.geteuid(), "Ctrl-C ends it quietly"


def test_open_and_close_and_what_is_no_object(name: str) -> None:
    done("create", name)
    with watching("--only", "open,close,create", f"{name}*") as watcher:
        path_of(name).read_bytes()
        (path_of(name).parent / f"{name[1:]}-dir").mkdir()
        (path_of(name).parent / f"{name[1:]}-dir").rmdir()
        (path_of(name).parent / f"{name[1:]}-link").symlink_to("nowhere")
        time.sleep(0.2)
        (path_of(name).parent / f"{name[1:]}-link").unlink()
        done("stat", name)
        done("ls", name)
        events = watcher.end(f"{name}-end")
    assert kinds(events) == ["open", "close"]


def test_moved_away_and_back(name: str) -> None:
    folder = path_of(name).parent / f"{name[1:]}-dir"
    done("create", name, "-s", "10")
    folder.mkdir()
    try:
        with watching("--only", "create,rename,remove", name, f"{name}-end") as watcher:
            path_of(name).rename(folder / "inner")
            (folder / "inner").rename(path_of(name))
            events = watcher.end(f"{name}-end")
    finally:
        folder.rmdir()
    assert kinds(events) == ["remove", "create"]


@needs_root
@pytest.mark.parametrize(("rounds", "numbered"), [(race_rounds(3000), True), (1000, False)])
def test_every_create_and_remove_in_order(name: str, loop: str, rounds: int, numbered: bool) -> None:
    with watching("--only", "create,remove", f"{name}*") as watcher:
        program = subprocess.Popen([loop, name, str(rounds), *(["n"] if numbered else [])])
        assert program.wait(SECONDS) == 0
        events = watcher.end(f"{name}-end")
    if "lost" not in kinds(events):
        names = [f"{name}-{number}" if numbered else name for number in range(rounds)]
        assert [(each["event"], each["name"]) for each in events] == [
            (kind, each) for each in names for kind in ("create", "remove")
        ]
    assert {event["pid"] for event in events} <= {program.pid, None}


@needs_root
def test_who_removed_it(names: list[str], remover: str) -> None:
    """Each remover is gone before anybody can look at it."""
    rounds = race_rounds(100)
    expected = {}
    with watching("--only", "remove", f"{names[0]}*", "--count", str(rounds)) as watcher:
        for number in range(rounds):
            name = f"{names[0]}-{number}"
            path_of(name).touch()
            program = subprocess.Popen([remover, name])
            expected[name] = program.pid
            assert program.wait(SECONDS) == 0
        events = watcher.wait()
    assert {event["name"]: event["pid"] for event in events} == expected
    commands = Counter(str(event["command"]).split(" ")[0] for event in events)
    # How many were seen alive depends on what else this machine does.
    assert set(commands) <= {remover, "remover", "None"}
    assert commands[remover]


@needs_root
def test_two_processes_at_one_name_are_never_taken_for_each_other(name: str, loop: str) -> None:
    """Each has a command line of its own, so a PID that does not fit its command would show."""
    with watching("--only", "create,remove", f"{name}*") as watcher:
        running = [subprocess.Popen([loop, f"{name}-{letter}", "500", "n"]) for letter in "ab"]
        programs = {program.pid: letter for program, letter in zip(running, "ab", strict=True)}
        for program in running:
            assert program.wait(SECONDS) == 0
        events = watcher.end(f"{name}-end")
    for event in events:
        if event["pid"] is not None:
            assert event["name"].startswith(f"{name}-{programs[event['pid']]}-")
    assert sum(event["pid"] is not None for event in events) > len(events) / 2


@needs_root
def test_a_flood_is_told(name: str, loop: str) -> None:
    """Stopped for a while, it cannot keep up: the queue of 16,384 events overflows, and it says so."""
    with watching("--only", "create,remove", f"{name}*") as watcher:
        watcher.process.send_signal(signal.SIGSTOP)
        subprocess.run([loop, name, "10000", "n"], check=True)
        watcher.process.send_signal(signal.SIGCONT)
        subprocess.run([loop, f"{name}-after", "1"], check=True)
        events = watcher.end(f"{name}-end")
    assert "lost" in kinds(events)


@needs_root
def test_other_users_see_no_process(name: str) -> None:
    argv = as_nobody([python_for_all(), "-P", "-m", "shmctl"])
    with watching("--only", "create", name, "--count", "1", argv=argv) as watcher:
        done("create", name)
        (event,) = watcher.wait()
    assert (event["pid"], event["uid"], event["user"], event["command"]) == (None, None, None, None)
    assert b"no event has a PID, user or command here: fanotify_init: " in watcher.errors
    assert b"(EPERM)" in watcher.errors


def test_hostile_names_and_commands(name: str) -> None:
    odd = f"{name}\x1b[31m\n"
    argv = shmctl_argv("events", "--count", "1", "--only", "create", f"{name}*")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stderr
        while b"watching" not in process.stderr.readline():
            pass
        subprocess.run(["sh", "-c", ': > "$1"', "\x1b]0;x\x07", str(path_of(odd))], check=True)
        out, _ = process.communicate(timeout=SECONDS)
    path_of(odd).unlink()
    assert process.returncode == 0
    assert b"\x1b" not in out
    assert out.count(b"\n") == 2
    assert rb"\x1b[31m\n" in out


def test_count_and_timeout(name: str) -> None:
    late = run("events", name, "--timeout", "0.1")
    assert (late.status, late.text.split()) == (
        124,
        ["TIME", "EVENT", "NAME", "SIZE", "PID", "USER", "COMMAND"],
    )
    assert late.errors.endswith("shmctl: events: watching /dev/shm\n")
    for wrong in (["--only", "creat"], ["--count", "0"], ["--ready-fd", "77"]):
        assert run("events", *wrong).status == (1 if wrong[0] == "--ready-fd" else 2)


def test_the_limit_of_inotify_is_named(tmp_path: Path) -> None:
    """As many instances as the limit allows are open in a namespace of its own."""
    code = """
import ctypes, subprocess, sys
libc = ctypes.CDLL(None)
while libc.inotify_init1(0) >= 0:
    pass
sys.exit(subprocess.run(sys.argv[1:], close_fds=True).returncode)
"""
    limit = 'echo 3 > /proc/sys/user/max_inotify_instances 2>/dev/null || exit 77; exec "$@"'
    argv = ["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh"]
    python = [python_for_all(), "-c", code, *shmctl_argv("events", python=python_for_all())]
    finished = subprocess.run(
        [*argv, *python], capture_output=True, timeout=SECONDS, check=False, env=environment()
    )
    assert finished.returncode == 1, finished
    assert b"inotify_init1: Too many open files (EMFILE)" in finished.stderr
    assert b"hint: fs.inotify.max_user_instances" in finished.stderr


def test_the_reader_goes_away(name: str) -> None:
    argv = shmctl_argv("events", "--json", name)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout
        assert process.stderr
        while b"watching" not in process.stderr.readline():
            pass
        process.stdout.close()
        done("create", name)
        assert process.wait(SECONDS) == -signal.SIGPIPE


@needs_root
def test_the_shm_of_another_process(name: str) -> None:
    enter = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /dev/shm && echo ready && exec sleep 60"]
    with subprocess.Popen(enter, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            holder.stdout.readline()
            argv = shmctl_argv("--target", str(holder.pid))
            with watching("--only", "create", "--count", "1", argv=argv) as watcher:
                done("--target", str(holder.pid), "create", name)
                (event,) = watcher.wait()
            assert (event["event"], event["name"]) == ("create", name)
        finally:
            holder.kill()
