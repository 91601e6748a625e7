"""What people type who know other tools, and what they get: it works, or the hint is the command that does.

A row is a line, its status, and what is printed: a hint is compared whole, and is then run
itself. ``/a`` (64 bytes, "hello") and ``/b`` exist, ``/new`` does not.
"""

import os
import re
import shlex

import pytest

from shmctl.cli.group import COMMANDS
from shmctl.cli.main import run
from tests.support import path_of

HINT = "hint: shmctl "
TYPED: list[tuple[str, int, str]] = [
    # It works
    ("ls", 0, "/a"),
    ("ls -l", 0, "MODE        NLINK"),
    ("ls -1 /a", 0, "/a\n"),
    ("ls -1 -S '/*'", 0, "/a\n/b\n"),
    ("ls -1S -r '/*'", 0, "/b\n/a\n"),
    ("ls -1t '/*'", 0, "/b\n/a\n"),
    ("ls -1tr '/*'", 0, "/a\n/b\n"),
    ("ls -lh /a", 0, "/a"),
    ("ls -lah /a", 0, "/a"),
    ("ls -ltr /a", 0, "/a"),
    ("ls -hl /a", 0, "/a"),
    ("ls -a", 0, "/a"),
    ("ls /dev/shm/a", 0, "/a"),
    ("stat -c %s /a", 0, "64\n"),
    ("stat -c '%n %a' /a", 0, "/a 600\n"),
    ("chmod u+x /a", 0, ""),
    ("chmod go= /a", 0, ""),
    ("chmod a+rX,u+w /a", 0, ""),
    ("chmod -w /a", 0, ""),
    ("chmod +r /a", 0, ""),
    ("chmod -v g+w /a", 0, "mode of /a set to 0620"),
    ("chmod -- -x /a", 0, ""),
    ("chmod 0644 /a", 0, ""),
    ("chown : /a", 0, ""),
    (f"chown +{os.getuid()}:+{os.getgid()} /a", 0, ""),
    ("truncate -s K /a", 0, ""),
    ("truncate -s ' +1' /a", 0, ""),
    ("truncate -s +1KiB /a", 0, ""),
    ("truncate --size=10 /a", 0, ""),
    ("create /new -s100", 0, ""),
    ("create /new --size=4K -m 644", 0, "umask"),
    ("create /100x", 0, ""),
    ("read /a -n 5", 0, "hello"),
    ("read -n5 /a", 0, "hello"),
    ("read /a --type char -n 1", 0, "h"),
    ("lock -n /a true", 0, ""),
    ("lock -w 1 /a true", 0, ""),
    ("lock -E 3 /a sh -c 'exit 4'", 4, ""),
    ("lock /a echo --shared", 0, "--shared\n"),
    ("run echo -s 10", 0, "-s 10\n"),
    ("run sh -c 'exit 3'", 3, ""),
    ("run ls -h /dev/null", 0, "/dev/null"),
    ("rm -f /new", 0, ""),
    ("mv /a /new", 0, ""),
    ("cp /a /new", 0, ""),
    ("-V", 0, "shmctl "),
    ("help", 0, "Usage: shmctl"),
    ("help rm", 0, "Usage: shmctl rm"),
    ("help sem post", 0, "Usage: shmctl sem post"),
    ("", 2, "Usage: shmctl"),
    ("sem", 2, "Usage: shmctl sem"),
    ("sem create /s --value 2", 0, ""),
    # Other tools' commands
    ("cat /a", 2, HINT + "read /a"),
    ("cat /a /b", 2, HINT + "read /a && shmctl read /b"),
    ("show /a", 2, HINT + "read /a"),
    ("get /a", 2, HINT + "read /a"),
    ("dump /a", 2, HINT + "read --hex /a"),
    ("hexdump -C /a", 2, HINT + "read --hex /a"),
    ("xxd /a", 2, HINT + "read --hex /a"),
    ("strings /a", 2, HINT + "read --text /a"),
    ("info /a", 2, HINT + "stat /a"),
    ("list", 2, HINT + "ls"),
    ("list -l", 2, HINT + "ls -l"),
    ("dir", 2, HINT + "ls"),
    ("ipcs", 2, HINT + "ls"),
    ("delete /a", 2, HINT + "rm /a"),
    ("remove /a /b", 2, HINT + "rm /a /b"),
    ("del /a", 2, HINT + "rm /a"),
    ("destroy /a", 2, HINT + "rm /a"),
    ("shm_unlink /a", 2, HINT + "unlink /a"),
    ("rename /a /new", 2, HINT + "mv /a /new"),
    ("move /a /new", 2, HINT + "mv /a /new"),
    ("copy /a /new", 2, HINT + "cp /a /new"),
    ("ln /a /new", 2, HINT + "cp /a /new"),
    ("touch /new", 2, HINT + "create --no-excl /new"),
    ("new /new", 2, HINT + "create /new"),
    ("make /new -s 10", 2, HINT + "create /new -s 10"),
    ("fallocate /new -s 10", 2, HINT + "create --reserve /new -s 10"),
    ("resize /a 100", 2, HINT + "truncate -s 100 /a"),
    ("grow /a +10", 2, HINT + "truncate -s +10 /a"),
    ("size /a", 2, HINT + "stat -f %s /a"),
    ("du", 2, HINT + "ls -o name,allocated --sort allocated --reverse"),
    ("free", 2, HINT + "df"),
    ("usage", 2, HINT + "df"),
    ("fuser /a", 2, HINT + "holders /a"),
    ("lsof /a", 2, HINT + "holders /a"),
    ("who /a", 2, HINT + "holders /a"),
    ("kill /a", 2, HINT + "holders /a"),
    ("clean", 2, HINT + "gc"),
    ("prune --yes /new", 2, HINT + "gc --yes /new"),
    ("purge", 2, HINT + "gc"),
    ("top", 2, HINT + "ls --sort allocated --reverse"),
    ("orphans /a", 2, HINT + "leaks /a"),
    ("chgrp 0 /a", 2, HINT + "chown :0 /a"),
    ("semaphore ls", 2, HINT + "sem ls"),
    ("sem list", 2, HINT + "sem ls"),
    ("sem rm /s", 2, HINT + "sem unlink /s"),
    ("sem get /s", 2, HINT + "sem wait /s"),
    ("sem signal /s", 2, HINT + "sem post /s"),
    ("sem_open /s", 2, HINT + "sem create /s"),
    ("flock /a true", 2, HINT + "lock /a true"),
    ("exec true", 2, HINT + "run true"),
    ("exists /a", 2, HINT + "wait --exists --timeout 0 /a"),
    ("put /a hi", 2, HINT + "write /a hi"),
    ("save /a /dev/null", 2, HINT + "read /a > /dev/null"),
    ("load /a /dev/null", 2, HINT + "write /a -i /dev/null"),
    ("check", 2, HINT + "doctor"),
    ("prometheus", 2, HINT + "metrics"),
    ("trace ls", 2, HINT + "--trace ls"),
    ("version", 2, HINT + "--version"),
    ("LIST", 2, HINT + "ls"),
    ("/a", 2, HINT + "stat /a"),
    ("-l", 2, HINT + "ls"),
    ("--list", 2, HINT + "ls"),
    ("creat /new", 2, "did you mean 'create'?"),
    # Other tools' options
    ("rm -rf /a", 2, "hint: objects do not nest: shmctl rm -f /a"),
    ("rm -r /a", 2, "hint: objects do not nest: shmctl rm /a"),
    ("rm --recursive --force /a", 2, "hint: objects do not nest: shmctl rm --force /a"),
    ("truncate -r /b /a", 2, HINT + 'truncate -s "$(shmctl stat -f %s /b)" /a'),
    ("truncate -c -s 1 /a", 2, "hint: truncate never makes an object: shmctl truncate -s 1 /a"),
    ("stat --printf=%s /a", 2, HINT + "stat --format=%s /a"),
    ("stat -L /a", 2, "hint: a link is never followed: shmctl stat /a"),
    ("ls -i /a", 2, HINT + "ls -o +inode /a"),
    ("ls -R", 2, "hint: objects do not nest: shmctl ls"),
    ("ls -A", 2, HINT + "ls --all"),
    ("lock -x /a true", 2, "hint: exclusive is the default: shmctl lock /a true"),
    ("lock /a -c 'echo hi'", 2, HINT + "lock /a sh -c 'echo hi'"),
    ("chmod -R 600 /a", 2, "hint: objects do not nest: shmctl chmod 600 /a"),
    ("chmod --reference /b /a", 2, HINT + 'chmod "$(shmctl stat -f %a /b)" /a'),
    ("chown -R 0 /a", 2, "hint: objects do not nest: shmctl chown 0 /a"),
    ("cp -a /a /new", 2, "hint: mode and holes are always kept: shmctl cp /a /new"),
    ("cp -f /a /b", 2, HINT + "cp --replace /a /b"),
    ("mv -f /a /b", 2, HINT + "mv --replace /a /b"),
    ("df -i", 2, "hint: each row has inodes and bytes: shmctl df"),
    ("gc -n", 2, "hint: nothing is removed without --yes: shmctl gc"),
    ("read -N 5 /a", 2, HINT + "read --length 5 /a"),
    ("read -x /a", 2, HINT + "read --hex /a"),
    ("write --append /a x", 2, HINT + 'write /a x --grow -o "$(shmctl stat -f %s /a)"'),
    ("write /a --file=/dev/null", 2, HINT + "write /a --input=/dev/null"),
    ("create /new --length 5", 2, HINT + "create /new --size 5"),
    ("create --trace /new", 2, HINT + "--trace create /new"),
    ("ls --color=never", 2, HINT + "--color=never ls"),
    ("unlink -f /a", 2, HINT + "rm -f /a"),
    # Words in another order, too many, or too few
    ("create /new 100", 2, HINT + "create /new --size 100"),
    ("create 4K /new", 2, HINT + "create /new --size 4K"),
    ("create /new -s 10 K", 2, HINT + "create /new -s 10K"),
    ("sem create /s 3", 2, HINT + "sem create /s --value 3"),
    ("truncate /a 100", 2, HINT + "truncate /a --size 100"),
    ("truncate 100 /a", 2, HINT + "truncate /a --size 100"),
    ("write hello /a", 1, HINT + "write /a hello"),
    ("write /a hello world", 2, "hint: quote a text of several words: shmctl write /a 'hello world'"),
    ("wait /a --type char != 0", 2, "hint: quote the condition: shmctl wait /a --type char '!= 0'"),
    ("wait /a --type int8 104", 2, HINT + "wait /a --type int8 '== 104'"),
    ("read /a 5", 2, HINT + "read /a --length 5"),
    ("read /a int32", 2, HINT + "read /a --type int32"),
    ("read /a /b", 2, HINT + "read /a && shmctl read /b"),
    ("unlink /a /b", 2, HINT + "rm /a /b"),
    ("chmod /a 600", 2, HINT + "chmod 600 /a"),
    ("chown /a 0", 2, HINT + "chown 0 /a"),
    ("ls /dev/shm", 2, HINT + "ls"),
    ("df /dev/shm", 2, HINT + "df"),
    ("df /a", 2, HINT + "ls /a"),
    ("holders /dev/shm/", 2, HINT + "holders"),
    ("create -m u=rw,g=r /new", 2, HINT + "create -m 640 /new"),
    ("create /new -m rw-r-----", 2, HINT + "create /new -m 640"),
    # Errors say which command
    ("sem create", 2, "shmctl: sem create: missing argument"),
    ("sem post /nosuch", 1, "shmctl: sem post: /nosuch: No such file"),
]
SHELL = re.compile(r"[$>&|<]")
OURS = re.compile(r"/(a|b|new|s|nosuch|100x)\b")


@pytest.fixture
def objects(name: str) -> dict[str, str]:
    """The real names of those in the table; ``a`` is older, and larger."""
    real = {short: f"{name}-{short}" for short in ("a", "b", "new", "s", "nosuch", "100x")}
    for at, short in enumerate("ab"):
        path = path_of(real[short])
        path.write_bytes(b"hello".ljust(64 - at, b"\0"))
        path.chmod(0o600)
        os.utime(path, (at + 1, at + 1))
    return real


def test_enough_of_them() -> None:
    assert len(TYPED) >= 120
    assert {line.split()[0] for line, _, _ in TYPED if line} & COMMANDS.keys() >= {
        "ls",
        "rm",
        "chmod",
        "lock",
    }


@pytest.mark.parametrize(("line", "status", "expected"), TYPED, ids=[line for line, _, _ in TYPED])
def test_typed(
    line: str, status: int, expected: str, objects: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    found, shown = typed(line, objects, capfd)
    assert found == status, shown
    assert "internal error" not in shown
    if not expected.startswith("hint: "):
        assert expected in shown
        return
    hint = shown.splitlines()[-1]
    assert hint == expected
    command = hint.rpartition(": ")[2].removeprefix("shmctl").strip()
    if not SHELL.search(command.replace("'!=", "")):
        again, complaint = typed(command, objects, capfd)
        assert again != 2, complaint


def test_a_name_of_digits_is_not_taken_for_the_size(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["create", "/9", "100"]) == 2
    assert capfd.readouterr().err.splitlines()[-1] == HINT + "create /9 --size 100"


def typed(line: str, objects: dict[str, str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a line in this process; returns its status and what it prints, with the short names."""
    if line.startswith("sem") and not line.startswith(("sem create", "sem_open")):
        run(["sem", "create", objects["s"], "--value", "1"])
        capfd.readouterr()
    real = OURS.sub(lambda match: objects[match[1]], line.replace("'/*'", f"'{objects['a'][:-1]}*'"))
    umask = os.umask(0o077)
    try:
        status = run(shlex.split(real))
    finally:
        os.umask(umask)
    out, err = capfd.readouterr()
    prefix = objects["a"].removesuffix("a")
    return status, (out + err).replace(prefix, "/")
