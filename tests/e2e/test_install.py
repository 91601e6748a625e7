"""What a user installs: the wheel, the sdist and the single file, by pip, pipx and uv, without a network.

Only the fixture that gathers the wheels asks an index, the one that pip is configured to have.
"""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import shmctl
from shmctl.cli.group import COMMANDS
from tests.documents import ROOT, SCRIPTS
from tests.support import Result, as_nobody, environment, run_command

pytestmark = pytest.mark.long

PAGES = {path.name for path in ROOT.glob("man/man?/*")}
# Where an installation has each completion script, and where this tree has it.
COMPLETIONS = {
    "share/bash-completion/completions/shmctl": "completions/shmctl.bash",
    "share/zsh/site-functions/_shmctl": "completions/_shmctl",
    "share/fish/vendor_completions.d/shmctl.fish": "completions/shmctl.fish",
}
DEVELOPMENT = {"pytest", "hypothesis", "ruff", "mypy", "hatchling", "build", "pip-tools", "setuptools"}


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path
    wheelhouse: Path

    @property
    def offline(self) -> dict[str, str]:
        """What keeps pip, and what calls pip, from any index."""
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheelhouse), "PIP_CONFIG_FILE": os.devnull}


def command(argv: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program that has to succeed; its output."""
    plain = {key: value for key, value in environment().items() if key != "PYTHONWARNINGS"}
    done = subprocess.run(
        [str(arg) for arg in argv],
        env={**plain, **(env or {})},
        cwd=cwd,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


def build(source: Path, output: Path, *what: str) -> None:
    command([sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", output, source])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "--wheel", "--sdist")
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    wheelhouse = tmp_path_factory.mktemp("wheelhouse")
    command([sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheelhouse, wheel, "pip"])
    return Built(wheel, sdist, wheelhouse)


def session(shmctl_argv: Sequence[str | Path], name: str, env: Mapping[str, str] | None = None) -> None:
    """The main job, structures, verdicts and tables, with nothing but what is installed."""

    def run(*args: str) -> Result:
        argv = ["env", "-i", "PATH=/usr/bin:/bin", *(f"{k}={v}" for k, v in (env or {}).items())]
        result = run_command([*argv, *map(str, shmctl_argv), *args])
        assert (result.status, result.err) == (0, b""), result
        return result

    assert run("--version").text == f"shmctl {shmctl.__version__}\n"
    run("create", name, "--size", "16")
    run("write", name, "--struct", "int a; float b;", "a=7", "b=0.5")
    assert run("read", name, "--struct", "int a; float b;").text == "a=7\nb=0.5\n"
    assert name.encode() in run("--color", "always", "ls", "-o", "name", name).out
    assert "made by NCCL" in run("leaks", "--min-age", "0", name).text
    assert "shmctl_capacity_bytes" in run("metrics").text
    assert run("completion", "fish").text.startswith("function")
    run("rm", name)


@pytest.fixture
def nccl() -> str:
    """A name that the families which come with shmctl know."""
    return f"/nccl-{os.getpid() % 10**6:06}"


# What is in them


def test_wheel_has_the_package_the_pages_and_the_completion_scripts(built: Built) -> None:
    names = zipfile.ZipFile(built.wheel).namelist()
    data = f"shmctl-{shmctl.__version__}.data/data/"
    assert {Path(name).name for name in names if name.startswith(data + "share/man/")} == PAGES
    assert {f"shmctl-{name}.1" for name in COMMANDS} <= PAGES
    assert {name.removeprefix(data) for name in names} >= set(COMPLETIONS)
    tracked = command(["git", "ls-files", "shmctl"], cwd=ROOT).split() if (ROOT / ".git").exists() else []
    assert set(names) >= {path for path in tracked if (ROOT / path).exists()}
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name]


def test_wheel_and_sdist_pass_the_checks_of_an_index(built: Built) -> None:
    command([SCRIPTS / "check-wheel-contents", built.wheel])
    command([SCRIPTS / "twine", "check", "--strict", built.wheel, built.sdist])


def test_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    command(["tar", "-xzf", built.sdist, "-C", tmp_path])
    (tree,) = tmp_path.iterdir()
    for part in (
        "tests/run",
        "man/generate.py",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "packaging/build.py",
    ):
        assert (tree / part).exists(), part
    build(tree, tmp_path / "dist", "--wheel")
    (again,) = (tmp_path / "dist").glob("*.whl")
    assert again.name == built.wheel.name
    first, second = zipfile.ZipFile(built.wheel), zipfile.ZipFile(again)
    assert sorted(first.namelist()) == sorted(second.namelist())
    assert [name for name in first.namelist() if first.read(name) != second.read(name)] == []


# Who installs them


def test_pip(built: Built, nccl: str, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    command([sys.executable, "-m", "venv", venv])
    command([venv / "bin/pip", "install", "--quiet", "shmctl"], built.offline)
    installed = command([venv / "bin/pip", "list", "--format", "freeze"], built.offline).lower()
    wanted = {"shmctl", "click", "rich", "posix-ipc"}
    have = {line.partition("==")[0].replace("_", "-") for line in installed.split()}
    assert have >= wanted
    assert not have & (DEVELOPMENT - {"setuptools"}), "needs nothing of what developers need"
    session([venv / "bin/shmctl"], nccl)
    assert {path.name for path in (venv / "share/man").rglob("shmctl*")} == PAGES
    for path, source in COMPLETIONS.items():
        assert (venv / path).read_text() == (ROOT / source).read_text()
    found = command(["man", "-w", "shmctl-write"], {"PATH": f"{venv}/bin:/usr/bin:/bin", "MANPATH": ""})
    assert found.strip() == str(venv / "share/man/man1/shmctl-write.1")


def test_pipx(built: Built, nccl: str, tmp_path: Path) -> None:
    env = built.offline | {
        "HOME": str(tmp_path),
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / ".local/bin"),
        "PIPX_MAN_DIR": str(tmp_path / ".local/share/man"),
        "PIPX_DEFAULT_BACKEND": "pip",
    }
    command([SCRIPTS / "pipx", "install", "--python", sys.executable, built.wheel], env)
    session([tmp_path / ".local/bin/shmctl"], nccl)
    path = {"PATH": f"{tmp_path}/.local/bin:/usr/bin:/bin", "MANPATH": ""}
    for page, section in (("shmctl", "1"), ("shmctl", "5"), ("shmctl-leaks", "7")):
        found = Path(command(["man", "-w", section, page], path).strip())
        assert found.read_text() == (ROOT / f"man/man{section}/{page}.{section}").read_text()


def test_uv(built: Built, nccl: str, tmp_path: Path) -> None:
    env = {
        "HOME": str(tmp_path),
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_NO_CONFIG": "1",
    }
    offline = ["--offline", "--no-index", "--find-links", str(built.wheelhouse)]
    command([SCRIPTS / "uv", "tool", "install", *offline, "--python", sys.executable, built.wheel], env)
    session([tmp_path / "bin/shmctl"], nccl)
    assert {path.name for path in (tmp_path / "tools/shmctl/share/man").rglob("shmctl*")} == PAGES


# The single file


@pytest.fixture(scope="module")
def archive(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("rescue") / "shmctl.pyz"
    command([sys.executable, ROOT / "packaging/build.py", "--output", output, built.wheel], built.offline)
    for parent in (output.parent, *output.parents):
        if parent.is_relative_to(tmp_path_factory.getbasetemp()):
            parent.chmod(0o755)
    return output


def bare_python() -> str:
    """The interpreter that the virtual environment was made of."""
    return os.path.realpath(sys.executable)


def test_single_file(archive: Path, nccl: str) -> None:
    session([bare_python(), archive], nccl)


@pytest.mark.needs_root
def test_single_file_as_nobody_without_a_home_or_a_place_to_write(archive: Path, nccl: str) -> None:
    probe = as_nobody([bare_python(), "-c", ""])
    python = bare_python() if run_command(probe).status == 0 else "/usr/bin/python3"
    public = Path(f"/var/tmp/shmctl-{os.getpid()}.pyz")
    try:
        public.write_bytes(archive.read_bytes())
        nobody = [str(arg) for arg in as_nobody([python, str(public)])]
        session(nobody, nccl, {"TMPDIR": "/nonexistent"})
    finally:
        public.unlink(missing_ok=True)


def test_single_file_of_another_python_says_so(archive: Path, tmp_path: Path) -> None:
    """As where the compiled modules have another suffix: here, none."""
    other = tmp_path / "other.pyz"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(other, "w") as copy:
        for name in source.namelist():
            if not name.startswith("posix_ipc"):
                copy.writestr(name, source.read(name))
    result = run_command([bare_python(), str(other), "--version"], env={"PYTHONWARNINGS": "default"})
    assert (result.status, result.out) == (1, b"")
    expected = rf"{re.escape(str(other))}: it is for CPython 3\.\d+ on \w+; this is Python 3\.\d+\S*, linux\n"
    assert re.fullmatch(expected, result.errors)
