"""Where shmctl may find itself: what can be done is done, and what cannot is said, everywhere.

Each environment runs the same commands. Whatever becomes of one, it ends in time with a documented status
and without a traceback, and what fails names the object or the place, and the errno.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import UNINSPECTED
from tests.e2e.terminal import Terminal, without_styles
from tests.support import (
    AS_NOBODY,
    PREFIX,
    TIMEOUT,
    environment,
    let_all_in,
    path_of,
    python_for_all,
    shmctl_argv,
)

pytestmark = pytest.mark.long

DRIVER = (Path(__file__).parent / "driver.py").read_text()
OWN_SHM = "mount -t tmpfs -o size=16m,mode=1777,nosuid,nodev tmpfs /dev/shm"
OWN_DEV = f"{OWN_SHM}; mkdir /dev/shm/dev; mount -t tmpfs tmpfs /dev/shm/dev; "
OWN_DEV += "cp -a /dev/null /dev/zero /dev/urandom /dev/shm/dev; mount --bind /dev/shm/dev /dev"
STATUSES = {0, 1, 2, 124, 126, 127}

# A command by a label, with NAME where the object's name goes; its status; what its output matches.
Command = tuple[Sequence[str], int, str]
ALL: dict[str, Command] = {
    "create": (("create", "NAME", "-s", "100"), 0, ""),
    "write": (("write", "NAME", "hello"), 0, ""),
    "read": (("read", "NAME", "--text"), 0, "hello"),
    "struct": (("read", "NAME", "--struct", "char a; char b;", "b"), 0, "e\n"),
    "stat": (("stat", "-f", "%s %a", "NAME"), 0, "100 600\n"),
    "ls": (("ls", "-o", "size", "--no-headings", "NAME"), 0, "100\n"),
    "json": (("ls", "--json", "NAME"), 0, r'\[\n\{"name": "/.*\}\n\]\n'),
    "chmod": (("chmod", "640", "NAME"), 0, ""),
    "truncate": (("truncate", "NAME", "-s", "+100"), 0, ""),
    "holders": (("holders", "NAME"), 0, "NAME  PID .*\n"),
    "leaks": (("leaks", "--min-age", "0", "NAME"), 0, "(?s)NAME .* orphan .*kernel lease granted.*"),
    "wait for a value": (("wait", "NAME", "--type", "uint8", "--timeout", "0.2", "== 104"), 0, ""),
    "wait": (("wait", "NAME", "--exists", "--timeout", "0.2"), 0, ""),
    "lock": (("lock", "NAME", "--", "sh", "-c", "exit 7"), 7, ""),
    "sem create": (("sem", "create", "NAME", "--value", "1"), 0, ""),
    "sem post": (("sem", "post", "NAME"), 0, ""),
    "sem wait": (("sem", "wait", "NAME", "--timeout", "0.2"), 0, ""),
    "sem value": (("sem", "value", "NAME"), 0, "1\n"),
    "sem ls": (("sem", "ls", "NAME"), 0, r"NAME .*\n.* 1 .*\n"),
    "sem unlink": (("sem", "unlink", "NAME"), 0, ""),
    "run": (("run", "-s", "10", "--", "sh", "-c", 'test -s "/dev/shm$SHM_NAME"'), 0, ""),
    "df": (("df",), 0, "(?s)GROUP .*total .*used .*"),
    "metrics": (("metrics",), 0, "(?s)# HELP .*"),
    "doctor": (("doctor",), 0, "(?s)STATUS .* directory .* remove-ipc .*"),
    "gc": (("gc", "--min-age", "0", "--yes", "NAME"), 0, r"(?s).*removed 1 of 1 orphan; \d+ bytes freed\n"),
    "reserve": (("create", "NAME", "-s", "4096", "--reserve"), 0, ""),
    "rm": (("rm", "NAME"), 0, ""),
    "write --create": (("write", "NAME", "--create"), 0, ""),
    "unlink": (("unlink", "NAME"), 0, ""),
    "holders --unlinked": (("holders", "--unlinked"), 0, " *INODE .*(?s:.*)"),
    "help": (("--help",), 0, "Usage: shmctl (?s:.*)"),
}
# For environments in which each command has to be a process of its own.
FEW = {
    label: ALL[label]
    for label in (
        *("create", "write", "read", "struct", "stat", "json", "leaks", "sem create", "sem unlink"),
        *("run", "doctor", "rm", "write --create", "unlink", "help"),
    )
}


@dataclass
class Job:
    """What the driver is to do, and how: descriptors to close, limits to set, by their names."""

    commands: list[list[str]] = field(default_factory=list)
    exec: bool = False
    closed: Sequence[int] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    no_leases: bool = False
    seconds: float = 20


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int | None
    out: str
    err: str


Failures = Mapping[str, tuple[int, str]]
"""By a command's label: its status, and what its standard error matches."""


def drive(
    job: Job,
    enter: Sequence[str] = (),
    *,
    commands: Mapping[str, Command] = ALL,
    name: bytes | None = None,
    python: str = sys.executable,
    env: Mapping[str, str | None] | None = None,
    cwd: str = "/",
) -> dict[str, Ended]:
    """Run ``commands`` behind ``enter``; how each ended, by its label. A value None in ``env`` unsets."""
    given = (name or f"/{PREFIX}env".encode()).decode("latin-1")
    argvs = [[given if word == "NAME" else word for word in argv] for argv, _, _ in commands.values()]
    job = Job(**{**asdict(job), "commands": argvs})
    wanted = {key: value for key, value in {**environment(), **(env or {})}.items() if value is not None}
    done = subprocess.run(
        [*enter, python, "-c", DRIVER],
        input=json.dumps(asdict(job)).encode(), capture_output=True, env=wanted, cwd=cwd, timeout=4 * TIMEOUT,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b""), done
    return {
        label: Ended(each[0], *(text.encode("latin-1").decode("utf-8", "replace") for text in each[1:]))
        for label, each in zip(commands, json.loads(done.stdout), strict=True)
    }


def check(ended: Mapping[str, Ended], failures: Failures = {}, *, silent: bool = False) -> None:  # noqa: B006 - read only
    """All is as it should be but what ``failures`` has; a failure says where and why, unless ``silent``."""
    problems = []
    for label, each in ended.items():
        _, status, out = ALL[label]
        status, err = failures.get(label, (status, None))
        problem = trouble(each, silent=silent or label == "lock")
        complaints = [line for line in each.err.splitlines() if not UNINSPECTED.fullmatch(line)]
        if problem:
            problems.append(f"{label}: {problem}")
        elif each.status != status:
            problems.append(f"{label}: status {each.status}, not {status}")
        elif err is None and complaints:
            problems.append(f"{label}: complains of {complaints}")
        elif err is not None and not re.search(err, each.err):
            problems.append(f"{label}: does not say {err!r}")
        elif label not in failures and not re.fullmatch(out, each.out):
            problems.append(f"{label}: prints {each.out!r}")
    assert not problems, "\n".join([*problems, repr(ended)])


def trouble(each: Ended, *, silent: bool = False) -> str | None:
    """What may never be, whatever happens."""
    if each.status is None:
        return "did not end"
    if each.status not in STATUSES and not silent:
        return f"ended with status {each.status}"
    if "Traceback" in each.err or "internal error" in each.err:
        return "shows its insides"
    if each.status in (1, 124) and not silent:
        first = (each.err.splitlines() or [""])[0]
        if not re.match(r"shmctl: \S", first):
            return f"fails with {first!r}"
        if not re.search(r"\(E[A-Z0-9]+\)", each.err):
            return "does not say which errno"
    return None


def namespace(setup: str, *, flags: str = "-m") -> list[str]:
    """The words that run a command where a shell has run ``setup`` first."""
    return ["unshare", flags, "sh", "-c", f'set -e\n{setup}\nexec "$@"', "sh"]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No command leaves an object behind, nor a temporary file, on the machine's own /dev/shm."""
    yield
    assert [name for name in os.listdir("/dev/shm") if PREFIX + "env" in name] == []


# Who, and with which mounts


def test_root() -> None:
    check(drive(Job()))


@pytest.mark.needs_root
def test_nobody() -> None:
    check(drive(Job(), AS_NOBODY, python=python_for_all(), env={"HOME": "/nonexistent"}))


@pytest.mark.needs_root
def test_user_namespace() -> None:
    """Root of a namespace of its own, which the user nobody has made, or root where users may not."""
    unshare = ["unshare", "--user", "--map-root-user"]
    for enter in ([*AS_NOBODY, *unshare], unshare):
        inside = [*enter, *namespace(OWN_SHM)[1:]]
        if subprocess.run([*inside, "true"], capture_output=True).returncode == 0:
            check(drive(Job(), inside, python=python_for_all(), env={"HOME": "/nonexistent"}))
            return
    pytest.skip("nobody may make a user namespace here")


NO_DIRECTORY = {
    label: (
        124 if label.startswith("wait") else 1,
        r"/dev/shm.*\((ENOENT|ETIMEDOUT)\)\nhint: 'shmctl doctor'",
    )
    for label in ALL
    if label not in ("doctor", "help")
}


@pytest.mark.needs_root
def test_no_dev_shm() -> None:
    """Nothing claims that the object exists, waits for ever, or blames standard output."""
    ended = drive(Job(), namespace(OWN_DEV))
    check(ended, NO_DIRECTORY)
    assert re.search(r"problem +directory .* there is no /dev/shm", ended["doctor"].out), ended


@pytest.mark.needs_root
def test_dev_shm_is_a_file() -> None:
    wrong = dict.fromkeys(NO_DIRECTORY, (1, r"there is no directory /dev/shm \((ENOTDIR|ENOENT)\)\nhint: "))
    wrong |= dict.fromkeys(
        ("ls", "json", "leaks", "gc", "sem ls", "df", "metrics", "holders --unlinked"),
        (1, r"/dev/shm: .*ENOTDIR"),
    )
    ended = drive(Job(), namespace(OWN_DEV + "; : > /dev/shm"))
    check(ended, wrong)
    assert re.search(r"problem +directory .* is a regular file, not a directory", ended["doctor"].out), ended


@pytest.mark.needs_root
def test_dev_shm_is_a_link() -> None:
    """As on older systems: the C library follows it, and so does shmctl, for all that is behind it."""
    setup = f"{OWN_DEV}; mount -t tmpfs tmpfs /run; mkdir -m 1777 /run/shm; ln -s /run/shm /dev/shm"
    ended = drive(Job(), namespace(setup))
    check(ended)
    assert re.search(r"note +directory .* is a symbolic link to /run/shm", ended["doctor"].out), ended
    shm = f"{setup}; mount -t tmpfs -o mode=1777 tmpfs /run/shm; mkdir /run/shm/d; "
    shm += "head -c 9000 /dev/zero >/run/shm/d/x"
    looks = {"df": ALL["df"], "df --all": (("df", "--all"), 0, ""), "doctor": ALL["doctor"]}
    ended = drive(Job(), namespace(shm), commands=looks)
    assert re.search(r"directory:/d +12288 ", ended["df"].out), ended
    assert re.search(r"unexplained +0 ", ended["df"].out), ended
    assert re.search(r"directory:/d +12288 ", ended["df --all"].out), ended
    assert re.search(r"ok +file-system .* a tmpfs of its own", ended["doctor"].out), ended


@pytest.mark.needs_root
def test_dev_shm_is_no_tmpfs(tmp_path: Path) -> None:
    """A plain directory will do, whatever it is on."""
    (tmp_path / "shm").mkdir()
    (tmp_path / "shm").chmod(0o1777)
    ended = drive(Job(), namespace(f"mount --bind {tmp_path}/shm /dev/shm"))
    check(ended)
    assert os.listdir(tmp_path / "shm") == []
    assert re.search(r"unexplained .* the file system holds more than this directory\n", ended["df"].out)


@pytest.mark.needs_root
def test_read_only() -> None:
    """What is there can be looked at, waited for and locked."""
    name = f"{PREFIX}env"
    setup = f"{OWN_SHM}; cd /dev/shm; printf '%-100s' hello > {name}; chmod 600 {name}"
    setup += "; mount -o remount,ro /dev/shm"
    refused = (1, r": /dev/shm is mounted read-only \(EROFS\)\nhint: 'shmctl doctor'")
    failures: dict[str, tuple[int, str]] = dict.fromkeys(
        ("write", "chmod", "truncate", "sem create", "sem unlink", "run", "rm", "write --create", "unlink"),
        refused,
    )
    failures |= dict.fromkeys(("create", "reserve"), (1, r"\(EEXIST\)"))
    failures |= dict.fromkeys(("sem post", "sem wait", "sem value"), (1, r"\(ENOENT\)"))
    failures["gc"] = refused
    ended = drive(Job(), namespace(setup))
    assert ended["read"].out.rstrip() == "hello"
    assert ended["sem ls"].out.startswith("NAME")
    assert re.search(r"problem +read-only .* mounted read-only", ended["doctor"].out), ended
    same = {label: each for label, each in ended.items() if label not in ("read", "sem ls")}
    check(same, failures)


@pytest.mark.needs_root
def test_noexec() -> None:
    ended = drive(Job(), namespace(f"{OWN_SHM}; mount -o remount,noexec /dev/shm"))
    check(ended)
    assert re.search(r"note +noexec .* mounted with noexec", ended["doctor"].out), ended


# What of /proc and the kernel is to be had

NO_ORPHANS: Failures = {
    "leaks": (0, "the kernel cannot be asked who uses an object: lease.*\nhint: "),
    "df": (0, "the kernel cannot be asked"),
    "gc": (0, "the kernel cannot be asked"),
    "reserve": (1, r"File exists \(EEXIST\)"),
}


@pytest.mark.needs_root
@pytest.mark.parametrize("way", ["mount -t tmpfs tmpfs /proc", "umount --lazy /proc"])
def test_no_proc(way: str) -> None:
    """The lease takes no /proc. That no process can be inspected is reported."""
    blind = (0, "no process could be inspected: there is no /proc")
    ended = drive(Job(), namespace(f"{OWN_SHM}; {way}"))
    check(ended, {"df": blind, "holders": blind, "holders --unlinked": blind})
    every = drive(Job(), namespace(f"{OWN_SHM}; {way}"), commands={"df --all": (("df", "--all"), 0, "")})
    assert blind[1] in every["df --all"].err
    # And without the lease, too, nothing is known, and nothing is taken for a leak.
    few = {label: ALL[label] for label in ("create", "leaks", "rm")}
    neither = drive(Job(no_leases=True), namespace(f"{OWN_SHM}; {way}"), commands=few)
    assert neither["leaks"].status == 0
    assert re.search("unknown .*no holder is visible, but the kernel cannot be asked", neither["leaks"].out)


@pytest.mark.needs_root
def test_hidepid() -> None:
    """In a PID namespace of its own: the option is one of the whole file system, not of the mount."""
    setup = f"{OWN_SHM}; mount -t proc proc /proc; mount -o remount,hidepid=2 /proc"
    enter = [*namespace(setup, flags="-mpf"), *AS_NOBODY]
    ended = drive(Job(), enter, python=python_for_all(), env={"HOME": "/nonexistent"})
    check(ended)
    assert "hidepid=invisible" in ended["doctor"].out


def test_leases_off() -> None:
    ended = drive(Job(no_leases=True))
    check(ended, NO_ORPHANS)
    assert "leases do not work here (EINVAL)" in ended["leaks"].err
    assert "leases do not work here (EINVAL)" in ended["doctor"].out
    assert "0 of 1 object is an orphan" in ended["gc"].out


# Streams, locales, terminals

NO_OUTPUT = dict.fromkeys(
    ("read", "struct", "stat", "json", "leaks", "doctor", "help"),
    (1, r"standard output: Bad file descriptor.* \(EBADF\)"),
)
NO_INPUT = {
    "write --create": (1, r"standard input: read: Bad file descriptor \(EBADF\)"),
    "unlink": (1, r"\(ENOENT\)"),
}


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_closed_streams(closed: list[int]) -> None:
    """None of them is taken for the object, which would get a descriptor that is free."""
    failures = (NO_INPUT if 0 in closed else {}) | (NO_OUTPUT if 1 in closed else {})
    if 2 in closed:
        failures = {label: (status, "") for label, (status, _) in failures.items()}
    ended = drive(Job(exec=True, closed=closed), commands=FEW)
    check(ended, failures, silent=2 in closed)
    stray = drive(
        Job(exec=True, closed=closed),
        commands={
            "create": FEW["create"],
            "reserve": (("create", "NAME", "-s", "4096", "--reserve"), 1, ""),
            "write": (("write", "NAME", "hello world", "-o", "95"), 1, ""),
            "wait": (("wait", "NAME", "--gone", "--timeout", "0.1"), 124, ""),
        },
    )
    assert [each.status for each in stray.values()] == [0, 1, 1, 124]
    assert path_of(f"/{PREFIX}env").read_bytes() == bytes(100)
    path_of(f"/{PREFIX}env").unlink()


ODD_NAME = f"/{PREFIX}env-ä€ ".encode() + b"\xff"
UTF8_NAME = f"/{PREFIX}env-ä€".encode()
ODD_JSON = '"name": "/' + PREFIX + r'env-\u00e4\u20ac \ufffd", "name_bytes": "' + ODD_NAME.hex()


ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "env",
    [
        {"LANG": "C", "LC_ALL": None},
        ASCII,
        {"PYTHONIOENCODING": "ascii:strict"},
    ],
    ids=["LANG=C", "ASCII", "strict ASCII"],
)
def test_locales(env: dict[str, str | None]) -> None:
    """A name is bytes: what the locale cannot spell is escaped in messages, and whole in JSON."""
    again: dict[str, Command] = {
        "create": FEW["create"],
        "reserve": (("create", "NAME", "-s", "4096", "--reserve"), 1, ""),
        "stat": (("stat", "-f", "%n", "NAME"), 0, ""),
        "ls": (("ls", "-0", "NAME"), 0, ""),
        "rm": (("rm", "-v", "NAME"), 0, ""),
    }
    ended = drive(Job(exec=True), commands=FEW, name=ODD_NAME, env=env)
    check(ended)
    assert ODD_JSON in ended["json"].out
    shown = drive(Job(exec=True), commands=again, name=ODD_NAME, env=env)
    assert [each.status for each in shown.values()] == [0, 1, 0, 0, 0], shown
    spelling = r"(ä€|\\xc3\\xa4\\xe2\\x82\\xac)\\x20\\xff"
    assert re.search(rf"env-{spelling}: File exists \(EEXIST\)\n", shown["reserve"].err), shown
    assert shown["stat"].out == ODD_NAME.decode("utf-8", "replace") + "\n", "the very bytes, in a pipe"
    assert shown["ls"].out == ODD_NAME.decode("utf-8", "replace") + "\0", shown
    assert re.fullmatch(rf"removed /{PREFIX}env-{spelling}\n", shown["rm"].out), shown
    # Names of good UTF-8 go another way, through posix_ipc.
    in_utf8 = drive(Job(exec=True), commands=FEW, name=UTF8_NAME, env=env)
    check(in_utf8)
    assert f'"name": "/{PREFIX}env-\\u00e4\\u20ac", "path"' in in_utf8["json"].out


@pytest.mark.parametrize("pager", ["less", "cat"])
def test_a_terminal_of_ascii(pager: str) -> None:
    """Frames and bars are drawn with what it has; of a name the bytes are shown."""
    env = {**ASCII, "PAGER": pager}
    name = UTF8_NAME.decode()
    path_of(name).write_bytes(b"hello")
    for args in (["ls", name], ["stat", name], ["df"], ["leaks", name]):
        with Terminal(shmctl_argv(*args), env=env) as terminal:
            shown = terminal.end()
        assert (shown.status, shown.out.isascii()) == (0, True), shown
        assert rb"\xe2\x94" not in shown.out and rb"\xe2\x96" not in shown.out, shown
        assert (rb"\xc3\xa4\xe2\x82\xac" in shown.out) == (args != ["df"]), shown
    path_of(name).unlink()


def test_frames_that_follow_each_other_on_a_terminal_of_ascii() -> None:
    name = UTF8_NAME.decode()
    path_of(name).write_bytes(b"hello")
    for command in ("ls", "holders"):
        argv = shmctl_argv(command, name, "--watch=0.1")
        with path_of(name).open(), Terminal(argv, columns=200, env=ASCII) as terminal:
            terminal.until(b"q ends")
            terminal.type(b"q")
            shown = terminal.end()
        assert (shown.status, shown.out.isascii()) == (0, True), shown
        assert rb"\xe2\x94" not in shown.out, shown
        assert rb"\xc3\xa4\xe2\x82\xac" in shown.out, shown
    path_of(name).unlink()


@pytest.mark.parametrize(
    ("columns", "term"),
    [(20, "xterm"), (1, "xterm"), (80, "dumb"), (80, None), (80, "nonsense")],
)
def test_terminals(name: str, columns: int, term: str | None) -> None:
    """Nothing is wider than the terminal; one without colours gets none, and a dumb one plain columns."""
    path_of(name).write_bytes(b"hello")
    set_term = ["-u", "TERM"] if term is None else [f"TERM={term}"]
    more = [["ls", name], ["df"]] if (columns, term) == (20, "xterm") else []
    for args in [["doctor"], ["stat", name], ["read", name], *more]:
        with Terminal(["env", *set_term, *shmctl_argv(*args)], columns) as terminal:
            shown = terminal.end()
        assert (shown.status, b"Traceback" in shown.out) == (0, False), shown
        if term == "dumb":
            assert b"\x1b" not in shown.out, shown
        text = without_styles(shown.out).decode()
        if args[0] in ("doctor", "stat") and columns >= 20 and term != "dumb":
            assert max(map(len, text.splitlines())) <= columns, text


# Limits


def test_few_descriptors(name: str) -> None:
    with tempfile.TemporaryFile(dir=path_of(name).parent):  # it has no name: doctor looks for its holders
        ended = drive(Job(exec=True, limits={"RLIMIT_NOFILE": 16}), commands=FEW)
    check(ended)
    assert not [each for each in ended.values() if "EMFILE" in each.out + each.err]


def test_little_address_space(name: str) -> None:
    """What is larger than it is read in pieces, or refused."""
    job = Job(exec=True, limits={"RLIMIT_AS": 64 << 20})
    check(drive(job, commands=FEW))
    with path_of(name).open("wb") as file:
        file.truncate(300 << 20)
        file.seek(200 << 20)
        file.write(b"x" * (60 << 20))
        file.seek(299 << 20)
        file.write(b"x")
    large: dict[str, Command] = {
        "bytes": (("read", name, "--raw", "-o", str(299 << 20), "-n", "10"), 0, ""),
        "values": (("read", name, "--type", "uint64", "-c", str(30 << 20)), 1, ""),
        "array": (("read", name, "--struct", f"char a[{250 << 20}];"), 1, ""),
        "text": (("read", name, "--text"), 0, ""),
        "dump": (("read", name, "--hex", "-o", str(200 << 20), "-n", str(60 << 20)), 0, ""),
        "wait": (("wait", name, "--changed", "--timeout", "0.1"), 124, ""),
    }
    ended = drive(job, commands=large)
    assert [each.status for each in ended.values()] == [0, 1, 1, 0, 0, 124], ended
    assert [trouble(each) for each in ended.values()] == [None] * 6
    assert ended["bytes"].out == "x" + "\0" * 9
    for label in ("values", "array"):
        assert f"{name}: mmap: Cannot allocate memory (ENOMEM)" in ended[label].err
    smaller = Job(exec=True, limits={"RLIMIT_AS": 48 << 20})
    assert [each.status for each in drive(smaller, commands={"wait": large["wait"]}).values()] == [124]


def test_no_file_may_grow() -> None:
    """RLIMIT_FSIZE holds for objects: EFBIG, never SIGXFSZ; and what was made is gone."""
    big = (1, r"\(EFBIG\)\nhint: .*RLIMIT_FSIZE")
    absent = (1, r"\(ENOENT\)")
    failures: dict[str, tuple[int, str]] = dict.fromkeys(ALL, absent)
    failures |= dict.fromkeys(("create", "reserve", "run", "write --create", "sem create"), big)
    failures |= {label: (124, "ETIMEDOUT") for label in ALL if label.startswith("wait")}
    failures["sem ls"] = (0, "")
    failing = {label: each for label, each in failures.items() if label not in WITHOUT_OBJECT}
    check(drive(Job(limits={"RLIMIT_FSIZE": 0})), failing)


WITHOUT_OBJECT = ("df", "metrics", "doctor", "holders --unlinked", "help")


@pytest.mark.needs_root
def test_no_process_may_be_made() -> None:
    """RLIMIT_NPROC, which does not hold for root."""
    enter = AS_NOBODY
    job = Job(exec=True, limits={"RLIMIT_NPROC": 1})
    commands = {**FEW, "lock": (("lock", "NAME", "--", "true"), 126, "")}
    refused = (126, r": (true|sh): Resource temporarily unavailable \(EAGAIN\)")
    order = ("create", "lock", *(label for label in FEW if label != "create"))
    ended = drive(
        job, enter, commands={label: commands[label] for label in order}, python=python_for_all(),
        env={"HOME": "/nonexistent"},
    )  # fmt: skip
    check(ended, {"lock": refused, "run": refused})


# Variables, and where it is started


@pytest.mark.needs_root
def test_no_home(tmp_path: Path) -> None:
    """A user that no database knows, without HOME: as containers with numbers for users have it.

    A folder that is called ``~`` is no home: what another user put there has no say.
    """
    enter = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    unset = {"HOME": None, "XDG_CONFIG_HOME": None, "USER": None, "LOGNAME": None}
    trap = tmp_path / "~/.config/shmctl/families.toml"
    trap.parent.mkdir(parents=True)
    trap.write_text("nonsense")
    let_all_in(tmp_path)
    check(drive(Job(), enter, python=python_for_all(), env=unset, cwd=str(tmp_path)))


def test_no_variables() -> None:
    check(drive(Job(exec=True), ["env", "-i", f"PATH={os.environ['PATH']}"], commands=FEW))


def test_no_working_directory(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    enter = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh"]
    check(drive(Job(exec=True), enter, commands=FEW, cwd=str(gone)), {"run": (0, "sh: .*getcwd")})


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error", "PYTHONINSPECT": "1", "PYTHONDEBUG": "1"},
        {"PYTHONOPTIMIZE": "2", "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "", "PYTHONNOUSERSITE": "1"},
    ],
    ids=["strict", "loose"],
)
def test_python_variables(env: dict[str, str | None]) -> None:
    """What must not be is refused in a sentence all the same: -O drops what is asserted."""
    env = {**env, "PYTHONDONTWRITEBYTECODE": "1"}
    check(drive(Job(exec=True), commands=FEW, env=env))
    refused: dict[str, Command] = {
        "write --create": FEW["write --create"],
        "write": (("write", "NAME", "-o", "10", "hello"), 1, ""),
        "unlink": FEW["unlink"],
    }
    ended = drive(Job(exec=True), commands=refused, env=env)
    check(ended, {"write": (1, r"5 bytes at offset 10 do not fit in its 11 bytes \(EFBIG\)")})
