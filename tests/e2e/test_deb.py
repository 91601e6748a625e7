"""The Debian package: what is in it, and that it works where it belongs, in /usr."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, private_shm
from tests.support import environment

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.long,
    pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="a package is built on Debian"),
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    env = environment()
    for name in ("PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE"):
        env.pop(name, None)  # pip has warnings of its own
    subprocess.run(
        [sys.executable, ROOT / "packaging/deb.py", "--output", folder],
        env=env,
        check=True,
        capture_output=True,
        timeout=300,
    )
    (deb,) = folder.glob("shmctl_*~deb*_*.deb")
    return deb


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder


def installed(tree: Path, script: str) -> str:
    """What a script prints where the package's /usr lies over the host's."""
    overlay = 'mount -t overlay overlay -o "lowerdir=$0/usr:/usr" /usr && exec sh -c "$1"'
    argv = [*private_shm(), "sh", "-c", overlay, str(tree), script]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_works_in_its_place(tree: Path) -> None:
    script = """
        set -e
        shmctl create /shmtest --size 100
        shmctl write /shmtest --struct 'int x; char c;' x=7 c=A
        shmctl read /shmtest --struct 'int x; char c;'
        shmctl leaks --json --min-age 0 | grep -o '"verdict": "orphan"'
        man -w 1 shmctl
    """
    out = installed(tree, script)
    assert out == 'x=7\nc=A\n"verdict": "orphan"\n/usr/share/man/man1/shmctl.1.gz\n'


def test_only_postinst_compiles_it(tree: Path) -> None:
    assert not list(tree.rglob("__pycache__"))


def test_each_shell_finds_its_completion(tree: Path) -> None:
    for place in (
        "bash-completion/completions/shmctl",
        "zsh/vendor-completions/_shmctl",
        "fish/vendor_completions.d/shmctl.fish",
    ):
        assert (tree / "usr/share" / place).read_text().strip()


def test_licences_and_units(tree: Path) -> None:
    text = (tree / "usr/share/doc/shmctl/copyright").read_text()
    for bundled in ("click", "rich", "posix_ipc", "prometheus_client", "shmctl"):
        assert f"\n{bundled} " in text
    for unit in (tree / "usr/lib/systemd/system").glob("*.service"):
        assert "ExecStart=/usr/bin/shmctl " in unit.read_text()
    assert not (tree / "etc/systemd").exists(), "units are enabled by the administrator"


def test_what_may_be_changed_is_a_conffile(package: Path) -> None:
    info = subprocess.check_output(["dpkg-deb", "-I", package, "conffiles"], text=True)
    assert info == "/etc/shmctl/families.toml\n"
