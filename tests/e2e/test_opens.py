"""Every command, under strace(1): how it opens, and asks for, what stands in /dev/shm or is planted there."""

import json
import os
import re
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.forms import all_forms, own_shm, removes, script_argv
from tests.support import run_command

pytestmark = pytest.mark.needs_root

# Plants one of each kind under its own name, and under sem.ITS_NAME; then runs each form on each of them.
# What is run stands between two marks in strace's log.
RUN_ALL = r"""
import shutil, socket

forms, outside, targets = map(json.loads, sys.argv[1:])
results = os.fdopen(os.dup(1), "w")
null = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(null, fd)

def make_directory(path):
    os.mkdir(path)
    os.mkfifo(path + "/fifo")
    os.symlink(outside, path + "/link")
    os.mkdir(path + "/inner")

def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)

def make_object(path):
    with open(path, "wb") as file:
        file.write(bytes([5]) + bytes(31))

KINDS = {
    "fifo": os.mkfifo,
    "socket": make_socket,
    "directory": make_directory,
    "device": lambda path: os.mknod(path, 0o666 | 0o020000, os.makedev(1, 3)),
    "link-to-file": lambda path: os.symlink(outside + "/file", path),
    "link-to-directory": lambda path: os.symlink(outside, path),
    "link-to-fifo": lambda path: os.symlink(outside + "/fifo", path),
    "dangling": lambda path: os.symlink(outside + "/missing", path),
    "object": make_object,
}
try:
    KINDS["device"]("/dev/shm/device")
except PermissionError:
    # A sandbox: who cannot make one need not fear one.
    del KINDS["device"]

def plant():
    for kind, make in KINDS.items():
        for path in ("/dev/shm/" + kind, "/dev/shm/sem." + kind):
            if not os.path.lexists(path):
                make(path)

def snapshot(kind):
    found = []
    for path in ("/dev/shm/" + kind, "/dev/shm/sem." + kind):
        if os.path.lexists(path):
            st = os.lstat(path)
            found.append([path, st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns])
    return found

for form in forms:
    named = "NAME" in " ".join(form) or "SEM" in form
    for kind in KINDS if named else ["object"]:
        for target in (False, True) if kind in targets else (False,):
            plant()
            before = snapshot(kind)
            meant = {"SEM": kind, "FILE": outside + "/file", "SCRIPT": outside + "/script"}
            with open(outside + "/script", "w") as script:
                script.write(f"read {kind}\nstat {kind}\nwrite {kind} x\n")
            args = [meant.get(word, word.replace("NAME", kind)) for word in form]
            os.access("/begin/" + json.dumps([kind, form]).replace("/", "|"), 0)
            status = run_form((["--target", str(os.getpid())] if target else []) + args)
            os.access("/end", 0)
            print(json.dumps([form, kind, target, status, snapshot(kind) == before]), file=results)
results.flush()
"""


@dataclass(frozen=True)
class FileCall:
    """A call with a path below /dev/shm that was made in a run."""

    kind: str
    form: tuple[str, ...]
    call: str
    path: str
    flags: frozenset[str]
    line: str


LINE = re.compile(r"\d+ +(\w+)\((.*)")
OPENS = ("open", "openat", "openat2", "creat")
# By name, where somebody may have swapped what bears it: these have to go through a descriptor.
BY_NAME = {
    *("chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "truncate", "utime", "utimes"),
    *("utimensat", "access", "faccessat", "faccessat2", "stat", "execve", "setxattr"),
}
BEGIN = re.compile(r'\d+ +\w+\((?:AT_FDCWD<[^>]*>, )?"/begin/(.*)", F_OK')


def calls_in(log: str) -> list[FileCall]:
    found: list[FileCall] = []
    kind, form = "", tuple[str, ...]()
    for line in log.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        if begin := BEGIN.match(line):
            kind, words = json.loads(begin[1].encode().decode("unicode_escape"))
            form = tuple(words)
        elif '"/end"' in line:
            kind, form = "", ()
        elif form and (path := path_of_call(match[2])) and path.startswith("/dev/shm/"):
            flags = frozenset(re.findall(r"[A-Z]+_[A-Z_]+", match[2].rpartition('"')[2]))
            found.append(FileCall(kind, form, match[1], path, flags, line))
    return found


def path_of_call(arguments: str) -> str | None:
    """The path that a call is about: with -y, strace shows where a descriptor leads."""
    match = re.match(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"([^"]*)"', arguments)
    if not match:
        return None
    return os.path.normpath(os.path.join(match[1] or "/", match[2]))


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What planted links lead to."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "file").write_text("precious")
    (folder / "file").chmod(0o604)
    os.mkfifo(folder / "fifo")
    return folder


Outcome = tuple[list[str], str, bool, int | str, bool]


@pytest.fixture(scope="module")
def seen(outside: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[FileCall], list[Outcome]]:
    """All the calls that all commands made, and what became of each run."""
    log = tmp_path_factory.mktemp("strace") / "log"
    traced = ["strace", "-f", "-y", "-s", "4096", "-o", str(log), "-e", "trace=%file", "-e", "signal=none"]
    script = script_argv(RUN_ALL, all_forms(), str(outside), ["fifo", "link-to-file", "object"])
    result = run_command(own_shm([*traced, *script]))
    assert (result.status, result.err) == (0, b""), result
    return calls_in(log.read_text()), [json.loads(line) for line in result.text.splitlines()]


def test_every_open_is_safe(seen: tuple[list[FileCall], list[Outcome]]) -> None:
    """No link is followed, no descriptor leaks into a program, and nothing can make an open wait."""
    opens = [each for each in seen[0] if each.call in OPENS]
    assert len(opens) > 500
    for each in opens:
        assert each.flags & {"O_NOFOLLOW", "O_EXCL"}, each
        by_sem_open = each.path == "/dev/shm/sem.object" or re.fullmatch(r"/dev/shm/sem\.\w{6}", each.path)
        if each.form[0] in ("sem", "stat") and by_sem_open:
            # The C library's sem_open(3) knows neither flag below: it is not called for what is no file.
            continue
        assert "O_CLOEXEC" in each.flags, each
        waits_for_nothing = each.flags & {"O_NONBLOCK", "O_PATH", "O_DIRECTORY"}
        assert waits_for_nothing or each.flags >= {"O_CREAT", "O_EXCL"}, each


def test_nothing_is_asked_or_changed_by_a_name_that_can_lead_elsewhere(
    seen: tuple[list[FileCall], list[Outcome]],
) -> None:
    for each in seen[0]:
        assert each.call not in BY_NAME, each
        if each.call in ("newfstatat", "statx", "name_to_handle_at"):
            assert each.flags & {"AT_SYMLINK_NOFOLLOW", "AT_EMPTY_PATH"}, each


def test_every_command_was_run_on_everything(seen: tuple[list[FileCall], list[Outcome]]) -> None:
    """Otherwise the tests here say nothing."""
    kinds_by_form: defaultdict[str, set[str]] = defaultdict(set)
    for form, kind, _, _, _ in seen[1]:
        kinds_by_form[" ".join(form)].add(kind)
    for form in all_forms():
        kinds = kinds_by_form[" ".join(form)]
        named = "NAME" in " ".join(form) or "SEM" in form
        assert {"fifo", "socket", "directory", "link-to-file", "link-to-fifo", "object"} <= kinds or not named
    looked_at = {each.path for each in seen[0]}
    assert {"/dev/shm/fifo", "/dev/shm/sem.fifo", "/dev/shm/directory/inner"} <= looked_at


def test_nothing_waits(seen: tuple[list[FileCall], list[Outcome]]) -> None:
    for form, kind, target, status, _ in seen[1]:
        assert status in (0, 1, 2, 124), (form, kind, target, status)


def test_what_is_planted_stays_as_it_is(seen: tuple[list[FileCall], list[Outcome]], outside: Path) -> None:
    """Only who removes a name takes it away; what a link leads to is never touched."""
    for form, kind, target, _, same in seen[1]:
        assert same or kind == "object" or removes(form), (form, kind, target)
    assert (outside / "file").read_text() == "precious"
    assert stat.S_IMODE((outside / "file").stat().st_mode) == 0o604
    assert sorted(path.name for path in outside.iterdir()) == ["fifo", "file", "script"]
