"""doctor: what it finds where something is wrong, each in a mount namespace that is made wrong."""

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from shmctl.core.inspect.doctor.checks import CHECKS
from shmctl.core.inspect.mounts import parse_mounts
from tests.e2e.inspect.holding import Holder, PrivatePlace, private_place, sleeper
from tests.e2e.terminal import on_terminal, without_styles
from tests.support import NOBODY, Result, as_nobody, python_for_all, run, run_command

pytestmark = pytest.mark.needs_root

KEYS = ["check", "status", "scope", "seen", "advice", "objects"]
STATUSES = {"ok", "note", "warning", "problem", "unknown"}
SANE = "mount -t tmpfs -o size=16m,mode=1777,nosuid,nodev,nr_inodes=1000 tmpfs /dev/shm"
# /dev is the machine's own: only one of our own can lack shm, or have something else there.
OWN_DEV = """
mkdir /dev/shm/dev && mount -t tmpfs tmpfs /dev/shm/dev
cp -a /dev/null /dev/zero /dev/urandom /dev/shm/dev && mount --bind /dev/shm/dev /dev
"""

Found = dict[str, dict[str, Any]]


def doctor_in(setup: str, command: Sequence[str] = (), *, unshare: str = "-m", options: str = "") -> Result:
    """Run it in namespaces of its own: on a sane /dev/shm first, then whatever ``setup`` makes of it."""
    argv = command or [sys.executable, "-m", "shmctl", "doctor", *(options or "--json").split()]
    script = f'set -e\n{SANE}\n{setup}\nexec "$@"'
    return run_command(["unshare", unshare, "sh", "-c", script, "sh", *argv])


def findings(result: Result) -> Found:
    """Every check has its finding, in the shape that scripts rely on."""
    assert (result.status, result.errors) == (0, ""), result
    lines = result.text.splitlines()
    assert (lines[0], lines[-1]) == ("[", "]")
    found = [json.loads(line.rstrip(",")) for line in lines[1:-1]]
    assert [each["check"] for each in found] == [check.name for check in CHECKS]
    for each in found:
        assert list(each) == KEYS
        assert each["status"] in STATUSES
        assert each["seen"]
        assert each["advice"] or each["status"] not in ("warning", "problem"), each
    return {each["check"]: each for each in found}


def bad(found: Found) -> dict[str, str]:
    """What is a warning or a problem, and no setting of this machine's kernel or control group."""
    machine = ("protected-regular", "memory-limit", "file-size-limit")
    return {
        name: each["status"]
        for name, each in found.items()
        if each["status"] in ("warning", "problem") and name not in machine
    }


def test_a_sane_host() -> None:
    found = findings(doctor_in(""))
    assert bad(found) == {}
    for name in ("directory", "file-system", "permissions", "mount-options", "size", "leases"):
        assert found[name]["status"] == "ok", found[name]
    assert found["memory-fill"]["seen"] == "0 of 16M used, 0%"
    assert "of 1000 inodes" in found["inode-fill"]["seen"]


def remount(options: str) -> str:
    return f"mount -o remount,{options} /dev/shm"


def fresh(options: str) -> str:
    return f"mount -t tmpfs -o nosuid,nodev,{options} tmpfs /dev/shm"


# What is done to it, and the findings that change: status, words in what was seen and in what to do.
WRONG: dict[str, tuple[str, dict[str, tuple[str, str, str | None]]]] = {
    "suid, dev": (
        "mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
        {"mount-options": ("warning", "nosuid and nodev", "remount,nosuid,nodev")},
    ),
    "suid": (
        "mount -t tmpfs -o mode=1777,nodev tmpfs /dev/shm",
        {"mount-options": ("warning", "without nosuid: set-user-ID", "remount,nosuid /dev/shm")},
    ),
    "noexec": (remount("noexec"), {"noexec": ("note", "executable", "remount,exec")}),
    "0755": (fresh("mode=0755"), {"permissions": ("warning", "mode 0755", "chmod 1777")}),
    "no sticky bit": (fresh("mode=0777"), {"permissions": ("problem", "no sticky bit", "chmod 1777")}),
    "another's": (
        fresh(f"mode=1777,uid={NOBODY}"),
        {"permissions": ("problem", "belongs to nobody", "chown root:root")},
    ),
    "read-only": (
        remount("ro"),
        {
            "read-only": ("problem", "mounted read-only", "remount,rw"),
            "leases": ("unknown", "not be checked: open: /dev/shm: Read-only file system (EROFS)", None),
        },
    ),
    "larger than memory": (
        fresh("mode=1777,size=64T"),
        {"size": ("warning", "64T, and there are", "remount,size=")},
    ),
    "without limit": (
        fresh("mode=1777,size=0,nr_inodes=0"),
        {
            "size": ("warning", "without limit", "remount,size="),
            "memory-fill": ("ok", "no limit (size=0)", None),
            "inode-fill": ("ok", "no limit (nr_inodes=0)", None),
        },
    ),
    "all of memory but a bit": (
        fresh("mode=1777,size=75%"),
        {"size": ("note", "the usual size is half of the memory", None)},
    ),
    "half of memory": (fresh("mode=1777"), {"size": ("ok", "of memory", None)}),
    "container": (
        fresh("mode=1777,size=64m"),
        {"container-default": ("warning", "64 MiB", "--shm-size")},
    ),
    "few inodes": (
        fresh("mode=1777,nr_inodes=10") + "; for i in 1 2 3 4 5 6 7 8; do : > /dev/shm/$i; done",
        {"inode-fill": ("warning", "9 of 10 inodes used, 90%", "shmctl gc")},
    ),
    "no inode left": (
        fresh("mode=1777,nr_inodes=3") + "; : > /dev/shm/a; : > /dev/shm/b",
        {
            "inode-fill": ("problem", "3 inodes used, 100%: when it is full, no more objects", "shmctl df"),
            "leases": ("ok", "tried, and proved to work", None),
        },
    ),
    "nearly full": (
        fresh("mode=1777,size=1m") + "; head -c 900K /dev/zero > /dev/shm/x",
        {"memory-fill": ("warning", "900K of 1.0M used, 87%", "shmctl gc")},
    ),
    "full": (
        fresh("mode=1777,size=1m") + "; head -c 1M /dev/zero > /dev/shm/x",
        {"memory-fill": ("problem", "100%: when it is full, the next store ends in SIGBUS", "shmctl df")},
    ),
    "plain directory": (
        "mkdir /tmp/shmctl-plain-$$; chmod 1777 /tmp/shmctl-plain-$$; "
        "mount --bind /tmp/shmctl-plain-$$ /dev/shm; rmdir /tmp/shmctl-plain-$$ 2>/dev/null || :",
        {"file-system": ("warning", "not tmpfs: objects are files", "mount -t tmpfs")},
    ),
    "ramfs": (
        "mount -t ramfs -o mode=1777 ramfs /dev/shm",
        {"file-system": ("warning", "ramfs: it has no limit", "mount -t tmpfs")},
    ),
    "a directory of a tmpfs": (
        "mkdir -m 1777 '/dev/shm/a b'; mount --bind '/dev/shm/a b' /dev/shm",
        {"file-system": ("note", "the directory /a\\x20b of the tmpfs on /dev/shm", None)},
    ),
    "no mount of its own": (
        OWN_DEV + "mkdir -m 1777 /dev/shm",
        {"file-system": ("note", "a directory of the tmpfs on /dev,", "mount -t tmpfs")},
    ),
    "a link": (
        OWN_DEV + "mkdir -m 1777 /dev/elsewhere; ln -s /dev/elsewhere /dev/shm",
        {"directory": ("note", "symbolic link to /dev/elsewhere", "itself is better")},
    ),
    "a dangling link": (
        OWN_DEV + "ln -s /nowhere /dev/shm",
        {
            "directory": ("problem", "to /nowhere, which is no directory", "remove it"),
            "permissions": ("unknown", "there is no directory", None),
        },
    ),
    "a file": (
        OWN_DEV + ": > /dev/shm",
        {
            "directory": ("problem", "a regular file, not a directory", "remove it"),
            "size": ("unknown", "there is no directory", None),
        },
    ),
    "missing": (
        OWN_DEV,
        {
            "directory": ("problem", "there is no /dev/shm", "mkdir -p /dev/shm && mount -t tmpfs"),
            "file-system": ("unknown", "there is no directory", None),
            "leases": ("unknown", "could not be checked: open: /dev/shm: No such file", None),
        },
    ),
    "huge pages": (remount("huge=always"), {"huge-pages": ("note", "huge=always", "huge=advise")}),
    "huge pages everywhere": (
        "printf 'always within_size advise never deny [force]\\n' > /dev/shm/on; "
        "mount --bind /dev/shm/on /sys/kernel/mm/transparent_hugepage/shmem_enabled",
        {"huge-pages": ("note", "huge=always", "huge=advise")},
    ),
    "no /sys": (
        "mount -t tmpfs tmpfs /sys; mount -o remount,huge=always /dev/shm",
        {"huge-pages": ("note", "huge=always", "huge=advise")},
    ),
    "larger than memory, but for swap": (
        fresh("mode=1777,size=2g") + """; printf 'MemTotal: %s kB\\nSwapTotal: %s kB\\n' 1000000 9000000 \\
        > /dev/shm/meminfo; mount --bind /dev/shm/meminfo /proc/meminfo""",
        {"size": ("note", "there are 977M of memory and 8.6G of swap: filled, it pushes", "size=488M")},
    ),
    "leases off": (
        "printf '0\\n' > /dev/shm/off; mount --bind /dev/shm/off /proc/sys/fs/leases-enable",
        {"leases": ("warning", "fs.leases-enable is 0", "sysctl -w fs.leases-enable=1")},
    ),
    "protected_regular off": (
        "printf '0\\n' > /dev/shm/off; mount --bind /dev/shm/off /proc/sys/fs/protected_regular",
        {"protected-regular": ("warning", "fs.protected_regular is 0", "sysctl -w")},
    ),
    "protected_regular on": (
        "printf '2\\n' > /dev/shm/on; mount --bind /dev/shm/on /proc/sys/fs/protected_regular",
        {"protected-regular": ("ok", "fs.protected_regular is 2", None)},
    ),
    "a setting that is none": (
        "printf 'no\\n' > /dev/shm/on; mount --bind /dev/shm/on /proc/sys/fs/protected_regular",
        {"protected-regular": ("unknown", "could not be checked: a file of the system has", None)},
    ),
    "no /proc": (
        "mount -t tmpfs tmpfs /proc",
        {
            "proc": ("warning", "there is no /proc", "mount -t proc"),
            "file-system": ("unknown", "could not be checked: /proc/self/mountinfo: No such file", None),
            "size": ("unknown", "could not be checked: /proc/", None),
            "memory-limit": ("unknown", "could not be checked: /proc/", None),
            "protected-regular": ("unknown", "could not be checked: /proc/sys/fs/protected_regular", None),
            "leases": ("unknown", "could not be checked: open: /proc/self/fd: No such file", None),
            "permissions": ("ok", "mode 1777", None),
        },
    ),
    "file size limit": (
        "prlimit --pid $$ --fsize=1024000",
        {"file-size-limit": ("warning", "no object can grow over 1000K (RLIMIT_FSIZE)", "ulimit -f")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong(what: str) -> None:
    setup, expected = WRONG[what]
    found = findings(doctor_in(setup))
    for check, (status, seen, advice) in expected.items():
        assert found[check]["status"] == status, found[check]
        assert seen in found[check]["seen"]
        assert (advice or "") in (found[check]["advice"] or "")
    # What is wrong is told once: nothing else is.
    wanted = {check: each[0] for check, each in expected.items() if each[0] in ("warning", "problem")}
    allowed = {"plain directory": {"mount-options"}, "ramfs": {"mount-options", "size"}}.get(what, set())
    owned = {"mount-options"} if OWN_DEV in setup else set()
    assert {name: each for name, each in bad(found).items() if name not in allowed | owned} == {
        name: each for name, each in wanted.items() if name not in ("protected-regular", "file-size-limit")
    }
    assert not list(Path("/tmp").glob("shmctl-plain-*"))


# Objects


def test_objects(private: PrivatePlace) -> None:
    """Named, a handful in the text, and all of them in the JSON."""
    for number in range(7):
        private.make(f"/all-{number}").chmod(0o666)
    private.make("/mine").chmod(0o664)
    os.chown(private.make("/theirs"), 54321, 54321)
    odd = private.path("") / os.fsdecode(b"\xff")
    odd.touch()
    odd.chmod(0o602)
    found = findings(private.run("doctor", "--json"))
    writable, owners = found["writable-by-all"], found["unknown-owners"]
    assert writable["status"] == "warning"
    assert writable["seen"] == "8 objects writable by all: /all-0, /all-1, /all-2, /all-3, /all-4 and 3 more"
    assert [each["name"] for each in writable["objects"]] == [f"/all-{n}" for n in range(7)] + ["/�"]
    assert writable["objects"][-1]["name_bytes"] == "2fff"
    assert owners["status"] == "warning"
    assert owners["seen"].endswith("does not have (54321): /theirs")
    assert owners["objects"] == [{"name": "/theirs"}]


def test_unlinked(private: PrivatePlace, holder: Holder) -> None:
    path = private.make("/gone", bytes(8192))
    private.make("/here")
    with holder("mapping", "/dev/shm/gone", private.enter) as holding:
        path.unlink()
        found = findings(private.run("doctor", "--json"))["unlinked"]
        assert found["status"] == "note"
        assert f"1 object without a name, 8.0K, held by PID {holding.pid}" in found["seen"]
    assert findings(private.run("doctor", "--json"))["unlinked"]["status"] in ("ok", "unknown")


def test_semaphores(private: PrivatePlace, holder: Holder) -> None:
    private.run("sem", "create", "left", "used")
    with holder("semaphore", "/used", private.enter):
        found = findings(private.run("doctor", "--json"))["semaphores"]
    assert found["status"] == "note"
    assert found["seen"] == "1 semaphore that no process has open: /sem.left"
    assert found["objects"] == [{"name": "/sem.left"}]
    private.run("sem", "unlink", "left")
    with holder("semaphore", "/used", private.enter):
        found = findings(private.run("doctor", "--json"))["semaphores"]
    assert (found["status"], found["seen"]) == ("ok", "1 semaphore, all in use")
    # Whether root's are, the kernel does not tell others.
    found = findings(private.run_as_nobody("doctor", "--json"))["semaphores"]
    assert found["status"] == "unknown"
    assert found["seen"] == "nothing shows whether 1 of 1 semaphore is in use"


# systemd

SYSTEMD = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/lib /run/etc/systemd/logind.conf.d
cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache /run/etc
mount --bind /run/etc /etc && mount --bind /run/lib /usr/lib/systemd
put() { mkdir -p "${1%/*}" && printf '%b' "$2" > "$1"; }
"""
DEFAULT = "put /etc/systemd/logind.conf '[Login]\\n#NAutoVTs=6\\n#RemoveIPC={}\\n'"
CONF = "put /{}/systemd/{} '{}\\n'"
LOGIND = {
    "nothing is set": ("", "note", "(the default)"),
    "the default of the build": (DEFAULT.format("no"), "ok", "in the default"),
    "a comment": (DEFAULT.format("yes"), "note", "(the default)"),
    "the main file": (
        CONF.format("etc", "logind.conf", "[Login]\\nRemoveIPC = off"),
        "ok",
        "/etc/systemd/logind.conf",
    ),
    "a drop-in": (
        DEFAULT.format("yes") + "\n" + CONF.format("run", "logind.conf.d/a.conf", "[Login]\\nRemoveIPC=0"),
        "ok",
        "/run/systemd/logind.conf.d/a.conf",
    ),
    "the last drop-in wins": (
        CONF.format("etc", "logind.conf.d/a.conf", "[Login]\\nRemoveIPC=no") + "\n"
        + CONF.format("usr/lib", "logind.conf.d/b.conf", "[Login]\\nRemoveIPC=Yes"),
        "note",
        "/usr/lib/systemd/logind.conf.d/b.conf",
    ),
    "in the order of names, not of folders": (
        CONF.format("etc", "logind.conf.d/b.conf", "[Login]\\nRemoveIPC=no") + "\n"
        + CONF.format("usr/lib", "logind.conf.d/a.conf", "[Login]\\nRemoveIPC=yes"),
        "ok",
        "/etc/systemd/logind.conf.d/b.conf",
    ),
    "of one name the first folder's": (
        CONF.format("etc", "logind.conf.d/a.conf", "[Login]\\nRemoveIPC=no") + "\n"
        + CONF.format("usr/lib", "logind.conf.d/a.conf", "[Login]\\nRemoveIPC=yes"),
        "ok",
        "/etc/systemd/logind.conf.d/a.conf",
    ),
    "masked": (
        "ln -s /dev/null /etc/systemd/logind.conf.d/a.conf\n"
        + CONF.format("run", "logind.conf.d/a.conf", "[Login]\\nRemoveIPC=no"),
        "note",
        "(the default)",
    ),
    "another section, other names, nonsense": (
        CONF.format("etc", "logind.conf", "[Sleep]\\nRemoveIPC=no\\n[Login]\\nRemoveIPC=maybe\\nXRemoveIPC=0")
        + "\n" + CONF.format("etc", "logind.conf.d/a.txt", "[Login]\\nRemoveIPC=no"),
        "note",
        "(the default)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LOGIND)
def test_remove_ipc(what: str) -> None:
    setup, status, source = LOGIND[what]
    found = findings(doctor_in(SYSTEMD + setup))["remove-ipc"]
    assert found["status"] == status, found
    assert source in found["seen"]
    assert found["scope"] == "host"
    if status == "note":
        assert "logs out" in found["seen"] or "last session ends" in found["seen"]
        assert "RemoveIPC=no" in found["advice"]


def test_remove_ipc_without_systemd() -> None:
    found = findings(doctor_in("mount -t tmpfs tmpfs /run"))["remove-ipc"]
    assert (found["status"], "systemd does not run" in found["seen"]) == ("ok", True)


def test_remove_ipc_that_may_not_be_read() -> None:
    nobody = [os.fsdecode(word) for word in as_nobody([python_for_all(), "-m", "shmctl", "doctor", "--json"])]
    secret = CONF.format("etc", "logind.conf", "[Login]") + "; chmod 600 /etc/systemd/logind.conf"
    found = findings(doctor_in(SYSTEMD + secret, nobody))["remove-ipc"]
    assert found["status"] == "unknown"
    assert found["seen"] == "could not be checked: /etc/systemd/logind.conf: Permission denied (EACCES)"


# Control groups, of which a machine has one sort or the other: the mount table is made up


def cgroup_setup(line: str, membership: str, files: dict[str, str]) -> str:
    writes = "; ".join(f"put /dev/shm/cg/{path} {text}" for path, text in files.items())
    return f"""
put() {{ mkdir -p "${{1%/*}}" && printf '%s\\n' "$2" > "$1"; }}
mkdir /dev/shm/cg; {writes}
{{ grep -v " - cgroup" /proc/self/mountinfo; echo '{line}'; }} > /dev/shm/mountinfo
put /dev/shm/cgroup '{membership}'
mount --bind /dev/shm/mountinfo /proc/$$/mountinfo && mount --bind /dev/shm/cgroup /proc/$$/cgroup
"""


VERSION_2 = "999 1 0:99 {} /dev/shm/cg rw - cgroup2 cgroup2 rw"
VERSION_1 = "999 1 0:99 / /dev/shm/cg rw - cgroup cgroup rw,memory"
V1_LIMIT = "a/memory.limit_in_bytes"
CGROUPS = {
    "smaller": (
        VERSION_2.format("/"), "0::/a/b", {"a/b/memory.max": "8388608"},
        "warning", "/a/b limits memory to 8.0M",
    ),
    "above": (
        VERSION_2.format("/"), "0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "1048576"},
        "warning", "/a limits memory to 1.0M",
    ),
    "larger": (VERSION_2.format("/"), "0::/a", {"a/memory.max": "33554432"}, "ok", "/a limits memory to 32M"),
    "none": (VERSION_2.format("/"), "0::/a", {"a/memory.max": "max"}, "ok", "no cgroup limits"),
    "inside a container": (
        VERSION_2.format("/docker/x"), "0::/docker/x",
        {"memory.max": "1048576", "docker/x/memory.max": "4096"},
        "warning", "/docker/x limits memory to 1.0M",
    ),
    "not mounted": ("999 1 0:99 / /x rw - tmpfs tmpfs rw", "4:memory:/a", {}, "ok", "no cgroup limits"),
    "version 1": (VERSION_1, "4:cpu,memory:/a", {V1_LIMIT: "1048576"}, "warning", "/a limits memory to 1.0M"),
    "version 1, none": (VERSION_1, "4:memory:/a", {V1_LIMIT: str(2**63 - 4096)}, "ok", "no cgroup limits"),
}  # fmt: skip


@pytest.mark.parametrize("what", CGROUPS)
def test_memory_limit(what: str) -> None:
    line, membership, files, status, seen = CGROUPS[what]
    found = findings(doctor_in(cgroup_setup(line, membership, files)))["memory-limit"]
    assert (found["status"], found["scope"]) == (status, "process"), found
    assert seen in found["seen"]


# What is to be seen of processes


def test_hidepid() -> None:
    """In a PID namespace of its own: the option belongs to the whole of a /proc."""
    setup = "mount -t proc proc /proc; mount -o remount,hidepid=2 /proc"
    found = findings(doctor_in(setup, unshare="-mpf"))["proc"]
    assert found["status"] == "note"
    assert "hidepid=invisible" in found["seen"]


def test_pid_namespace() -> None:
    found = findings(doctor_in("mount -t proc proc /proc", unshare="-mpf"))["proc"]
    assert (found["status"], "PID namespace" in found["seen"]) == ("note", True), found


def test_target() -> None:
    """Its /dev/shm, its mounts, its limits; what is the host's says so."""
    setup = "mount -o remount,ro,noexec /dev/shm && ulimit -f 100"
    with private_place(size="32m", setup=setup) as place:
        found = findings(run("--target", str(place.pid), "doctor", "--json"))
        assert found["read-only"]["status"] == "problem"
        assert (
            found["read-only"]["advice"]
            == f"nsenter --target {place.pid} --mount mount -o remount,rw /dev/shm"
        )
        assert found["noexec"]["status"] == "note"
        assert found["file-system"]["status"] == "ok", found["file-system"]
        assert "of 32M used" in found["memory-fill"]["seen"]
        assert found["file-size-limit"]["status"] == "warning"
        assert {name for name, each in found.items() if each["scope"] == "host"} == {
            "leases", "protected-regular", "proc", "remove-ipc",
        }  # fmt: skip
        plain = run("--target", str(place.pid), "doctor").text.splitlines()
        assert plain[0].split() == ["STATUS", "CHECK", "SCOPE", "SEEN", "ADVICE"]
        assert ["ok", "proc", "host"] in [line.split()[:3] for line in plain] or "note" in plain[-2]


def test_target_whose_mount_table_does_not_show_it(tmp_path: Path) -> None:
    """Its root is no mount of its own, so that what it is on lies outside."""
    (tmp_path / "dev/shm").mkdir(parents=True)
    with sleeper("os.chroot(sys.argv[1])", str(tmp_path)) as pid:
        found = findings(run("--target", str(pid), "doctor", "--json"))["file-system"]
    assert found["status"] == "unknown"
    assert "mount table does not show" in found["seen"]


def test_target_with_users_of_its_own() -> None:
    with private_place() as place:
        os.chown(place.make("/theirs"), 54321, 54321)
        found = findings(run("--target", str(place.pid), "doctor", "--json"))["unknown-owners"]
    assert found["status"] == "note"
    assert "user database is this host's" in found["seen"]


def test_nobody() -> None:
    """All that root may know and others not is said to be unknown, and nothing fails."""
    argv = [os.fsdecode(word) for word in as_nobody([python_for_all(), "-m", "shmctl", "doctor", "--json"])]
    found = findings(doctor_in("exec 9<> /dev/shm/gone; rm /dev/shm/gone; shm() { :; }", argv))
    assert bad(found) == {}
    assert found["unlinked"]["status"] == "unknown"
    assert "could not be inspected" in found["unlinked"]["seen"]
    assert found["leases"]["status"] == "ok"


# Output


def test_exit_code() -> None:
    """A note is no reason to fail; a warning is, and a problem."""
    quiet = "printf '1\\n' > /dev/shm/.on; mount --bind /dev/shm/.on /proc/sys/fs/protected_regular"
    quiet += (
        "; printf '0::/\\n' > /dev/shm/.cg; mount --bind /dev/shm/.cg /proc/$$/cgroup; ulimit -f unlimited"
    )
    assert doctor_in(quiet + "; " + remount("noexec"), options="--exit-code").status == 0
    assert doctor_in(quiet + "; chmod 1755 /dev/shm", options="--exit-code").status == 1
    assert doctor_in(quiet + "; chmod 0777 /dev/shm", options="--exit-code --json").status == 1
    assert doctor_in(quiet + "; chmod 0777 /dev/shm", options="--json").status == 0


def test_plain() -> None:
    """A row for each check, in columns."""
    result = doctor_in("chmod 0777 /dev/shm", options=" ")
    lines = result.text.splitlines()
    assert lines[0].split() == ["STATUS", "CHECK", "SCOPE", "SEEN", "ADVICE"]
    assert {line.split()[1] for line in lines[1:]} == {check.name for check in CHECKS}
    statuses = [line.split()[0] for line in lines[1:]]
    assert statuses == sorted(statuses, key=["problem", "warning", "unknown", "note", "ok"].index)
    seen, advice = lines[0].index("SEEN"), lines[0].index("ADVICE")
    row = next(line for line in lines if line.split()[1] == "permissions")
    assert row[seen:advice].strip().startswith("mode 0777 has no sticky bit")
    assert row[advice:] == "chown root:root /dev/shm && chmod 1777 /dev/shm"
    assert "\x1b" not in result.text


def test_terminal() -> None:
    shown = on_terminal("doctor", columns=100)
    text = without_styles(shown.out).decode()
    assert shown.status == 0
    assert b"\x1b[" in shown.out
    assert [check.name for check in CHECKS if check.name not in text] == []
    assert all(len(line) <= 100 for line in text.splitlines())
    assert re.search(r"\n[0-9]+ ok(, [0-9]+ \w+)*\n$", text), text


def test_the_mount_table() -> None:
    r"""Spaces and backslashes in octal, optional fields, an empty source."""
    lines = [
        b"30 25 0:27 / /dev/shm rw,nosuid shared:3 master:1 - tmpfs tmpfs rw,size=1024k,huge=always",
        rb"31 30 0:28 /a\040b /mnt/x\134y\011z rw - ext4  ro",
    ]
    first, second = parse_mounts(lines)
    assert (first.id, first.root, first.point, first.fstype) == (30, b"/", b"/dev/shm", "tmpfs")
    assert first.options == {"rw": "", "size": "1024k", "huge": "always"}
    assert (second.root, second.point, second.options) == (b"/a b", b"/mnt/x\\y\tz", {"ro": ""})
