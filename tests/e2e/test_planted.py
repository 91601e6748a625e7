"""What is no object, planted under an object's name: an error at once, never hang, never follow."""

import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import PREFIX, TIMEOUT, Result, done, environment, path_of, run, shmctl_argv

# Each command that opens an object, with NAME where its name goes.
COMMANDS = [
    ["create", "NAME"],
    ["create", "NAME", "--no-excl"],
    ["create", "NAME", "--no-excl", "-s", "10"],
    ["create", "NAME", "--no-excl", "--trunc", "--reserve", "-s", "10"],
    ["create", "NAME", "--atomic", "--replace"],
    ["write", "NAME", "text", "--create", "--atomic", "--replace"],
    ["truncate", "NAME", "-s", "10"],
    ["write", "NAME", "text"],
    ["write", "NAME", "text", "--create", "--grow"],
    ["write", "NAME", "--create", "--exact"],
    ["write", "NAME", "--fill", "0", "--lock"],
    ["read", "NAME"],
    ["read", "NAME", "--hex"],
    ["read", "NAME", "--type", "int8"],
    ["read", "NAME", "--lock"],
    ["stat", "NAME"],
    ["stat", "NAME", "--json"],
    ["chmod", "666", "NAME"],
    ["chown", "0", "NAME"],
]


class Planted:
    """Something of a kind under a name, and the proof that nothing has happened to it."""

    def __init__(self, kind: str, description: str, make: Callable[[Path], None]) -> None:
        self.kind = kind
        self.description = description
        self.make = make


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_full_directory(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("kept")


PLANTED = {
    "fifo": Planted("other", "a FIFO", os.mkfifo),
    "socket": Planted("socket", "a socket", make_socket),
    "directory": Planted("directory", "a directory", make_full_directory),
    "dangling": Planted("symlink", "a symbolic link", lambda path: path.symlink_to("/nonexistent/target")),
    "loop": Planted("symlink", "a symbolic link", lambda path: path.symlink_to(path)),
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    file = tmp_path / "target"
    file.write_text("precious")
    file.chmod(0o640)
    return file


@pytest.fixture(params=[*PLANTED, "link to a file", "link to an object"])
def planted(request: pytest.FixtureRequest, name: str, names: list[str], target: Path) -> Iterator[Planted]:
    """One of each kind under ``name``; after the test it, and what it leads to, is as it was."""
    if request.param == "link to a file":
        one = Planted("symlink", "a symbolic link", lambda path: path.symlink_to(target))
    elif request.param == "link to an object":
        path_of(names[0]).write_text("another's")
        one = Planted("symlink", "a symbolic link", lambda path: path.symlink_to(path_of(names[0])))
    else:
        one = PLANTED[request.param]
    one.make(path_of(name))
    before = snapshot(path_of(name)), snapshot(target)
    yield one
    assert (snapshot(path_of(name)), snapshot(target)) == before
    assert target.read_text() == "precious"
    if path_of(names[0]).exists():
        assert path_of(names[0]).read_text() == "another's"
    assert not Path("/nonexistent").exists()


def snapshot(path: Path) -> tuple[object, ...]:
    st = os.lstat(path)
    return st.st_ino, st.st_mode, st.st_uid, st.st_size, st.st_mtime_ns


def run_all(commands: list[list[str]], name: str) -> list[Result]:
    """Run the commands at the same time: none may wait for anything."""
    running = [
        subprocess.Popen(
            shmctl_argv(*(name if part == "NAME" else part for part in command)),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
        )
        for command in commands
    ]  # fmt: skip
    results = []
    try:
        for process in running:
            out, err = process.communicate(timeout=TIMEOUT)
            results.append(Result(process.returncode, out, err))
    finally:
        for process in running:
            process.kill()
    return results


def test_refused(planted: Planted, name: str) -> None:
    for command, result in zip(COMMANDS, run_all(COMMANDS, name), strict=True):
        assert result.status == 1, (command, result)
        assert result.out == (b"[]\n" if "--json" in command else b"")
        first = result.errors.splitlines()[0]
        assert first.startswith(f"shmctl: {command[0]}: {name}: "), first
        if command == ["create", "NAME"]:
            assert "EEXIST" in first
        else:
            assert planted.description in first, (command, first)


def test_listing(planted: Planted, name: str) -> None:
    assert name not in done("ls")
    assert name not in done("ls", "-0").split("\0")
    assert done("ls", "-a", "-o", "name,kind", "--no-headings", name).split() == [name, planted.kind]
    assert done("ls", "--kind", planted.kind, "-0", name + "*") == name + "\0"
    assert done("ls", "--kind", "shm", "-0", name + "*") == ""


def test_listing_by_name(planted: Planted, name: str) -> None:
    """Asked for by name, it is there, though it is no object: not shown, but not called missing either."""
    result = run("ls", "--no-headings", name)
    assert (result.status, result.out) == (0, b""), result


@pytest.mark.parametrize("kind", ["fifo", "socket", "dangling"])
@pytest.mark.parametrize("command", ["rm", "unlink"])
def test_removed(name: str, kind: str, command: str) -> None:
    PLANTED[kind].make(path_of(name))
    done(command, name)
    assert not os.path.lexists(path_of(name))


@pytest.mark.parametrize("command", ["rm", "unlink"])
def test_removing_a_link_leaves_its_target(name: str, target: Path, command: str) -> None:
    path_of(name).symlink_to(target)
    done(command, name)
    assert not os.path.lexists(path_of(name))
    assert target.read_text() == "precious"


@pytest.mark.parametrize("command", [["rm"], ["rm", "-f"], ["unlink"]], ids=" ".join)
@pytest.mark.parametrize(
    ("make", "hint"), [(os.mkdir, "rmdir"), (make_full_directory, "rm -r")], ids=["empty", "full"]
)
def test_a_directory_is_not_removed(
    name: str, command: list[str], make: Callable[[Path], None], hint: str
) -> None:
    make(path_of(name))
    result = run(*command, name)
    assert result.status == 1
    assert f"{name}: Is a directory (EISDIR)\nhint: '{hint} /dev/shm{name}' removes it\n" in result.errors
    assert path_of(name).is_dir()


def test_patterns_leave_alone_what_is_no_object(names: list[str]) -> None:
    """rm with a pattern removes objects; a FIFO or a directory must be named."""
    done("create", names[0])
    os.mkfifo(path_of(names[1]))
    os.mkdir(path_of(names[2]))
    done("rm", f"{PREFIX}[0-9]*")
    assert [os.path.lexists(path_of(name)) for name in names] == [False, True, True]


def test_device_nodes(name: str) -> None:
    """A character device, made where the system lets us, is refused without being opened for its effects."""
    try:
        os.mknod(path_of(name), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        # Without the right to make one there is none to plant either: the refusal of a FIFO stands for it.
        os.mkfifo(path_of(name))
    commands = [command for command in COMMANDS if command != ["create", "NAME"]]
    for command, result in zip(commands, run_all(commands, name), strict=True):
        assert result.status == 1, (command, result)
        assert "not a shared-memory object" in result.errors, (command, result)
    assert done("ls", "-a", "-o", "kind", "--no-headings", name) == "other\n"


def test_a_fifo_with_a_writer_is_not_read(name: str) -> None:
    """What somebody has put in is still there."""
    os.mkfifo(path_of(name))
    fd = os.open(path_of(name), os.O_RDWR)
    try:
        os.write(fd, b"for somebody else")
        assert run("read", name).status == 1
        assert run("write", name, "x", "--grow").status == 1
        assert os.read(fd, 100) == b"for somebody else"
    finally:
        os.close(fd)


def test_input_that_is_no_file(name: str, names: list[str], tmp_path: Path) -> None:
    """write -i takes any file that can be read; a directory is an error that names it."""
    done("create", name, "-s", "10")
    result = run("write", name, "-i", str(tmp_path))
    assert result.status == 1
    assert str(tmp_path) in result.errors
    assert "EISDIR" in result.errors
    done("write", name, "-i", "/dev/null")
    done("write", name, "-i", "/dev/zero", "-n", "10")
    result = run("write", names[0], "-i", str(tmp_path / "missing"), "--create")
    assert result.status == 1
    assert f"{tmp_path}/missing: " in result.errors
    assert "No such file or directory (ENOENT)" in result.errors
    assert "--create" not in result.errors, "the hint is about a missing object"
    assert not path_of(names[0]).exists()
