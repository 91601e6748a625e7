#!/usr/bin/env python3
"""Build dist/shmctl_VERSION~debN_ARCH.deb for the Debian release that this runs on.

The Python packages that shmctl needs are bundled in /usr/lib/shmctl, with
their licences; apt fetches only Debian's python3. Takes dpkg-deb, pip, and
the package index that pip is configured to use.
"""

import argparse
import gzip
import platform
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PARTS = HERE / "debian"
PRIVATE = "usr/lib/shmctl"
DOC = "usr/share/doc/shmctl"
# Where a tree of this project belongs on a Debian system.
PLACES = {
    "completions/shmctl.bash": "usr/share/bash-completion/completions/shmctl",
    "completions/_shmctl": "usr/share/zsh/vendor-completions/_shmctl",
    "completions/shmctl.fish": "usr/share/fish/vendor_completions.d/shmctl.fish",
    "packaging/debian/shmctl": "usr/bin/shmctl",
    "packaging/debian/families.toml": "etc/shmctl/families.toml",
}
# A licence that every Debian system has is named, not repeated.
COMMON_TITLE = "Apache License\n"
COMMON = "Apache License 2.0: see /usr/share/common-licenses/Apache-2.0"
# Commands of other packages, and what only pip and type checkers read.
SUPERFLUOUS = ("bin", "share", "**/__pycache__", "**/*.pyi", "**/py.typed", "**/test*/")
DESCRIPTION = """\
 shmctl creates, reads, writes, lists and removes the objects in /dev/shm,
 shows which processes use them, and finds and removes what crashed programs
 left behind.
 .
 Structures are laid out as the C compiler does it. Locks, semaphores,
 waiting for values, and totals for Prometheus are included."""


def main() -> None:
    """Build the package from this tree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist", help="the folder to build it in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        tree.chmod(0o755)
        licences = install_private(tree / PRIVATE)
        place_files(tree)
        version = f"{version_of(tree)}~deb{release()}"
        document(tree, version, licences)
        control(tree, version)
        package = options.output / f"shmctl_{version}_{architecture()}.deb"
        options.output.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, package], check=True)
    print(package)


def release() -> str:
    """The number of the Debian release that this is: ``12``."""
    info = platform.freedesktop_os_release()
    if info.get("ID") != "debian":
        sys.exit("deb.py: build the package on the Debian release that it is for")
    return info["VERSION_ID"]


def architecture() -> str:
    """Debian's name of this machine: ``amd64``."""
    return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()


def version_of(tree: Path) -> str:
    """shmctl's version, as the installed copy says."""
    code = "import shmctl; print(shmctl.__version__)"
    return subprocess.check_output([sys.executable, "-B", "-c", code], cwd=tree / PRIVATE, text=True).strip()


def install_private(target: Path) -> dict[str, str]:
    """Install shmctl and the packages that it needs; return the licence of each, by name and version."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile"]
    subprocess.run([*pip, "--target", target, ROOT], check=True)
    licences = {}
    for info in sorted(target.glob("*.dist-info")):
        texts = [path.read_text() for path in sorted(info.rglob("*")) if is_licence(path)]
        name = info.name.removesuffix(".dist-info").replace("-", " ")
        if not texts:
            sys.exit(f"deb.py: {name} has no licence text")
        licences[name] = "\n".join(COMMON if COMMON_TITLE in text else text for text in texts)
        shutil.rmtree(info)
    for pattern in SUPERFLUOUS:
        for path in list(target.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for library in target.rglob("*.so"):
        subprocess.run(["strip", "--strip-unneeded", library], check=True)
        library.chmod(0o644)
    return licences


def is_licence(path: Path) -> bool:
    """Whether a file of a package's metadata is a licence."""
    return path.is_file() and path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE"))


def place_files(tree: Path) -> None:
    """Copy manual pages, completions, units and configuration to where Debian has them."""
    for source, place in PLACES.items():
        copy(ROOT / source, tree / place)
    (tree / "usr/bin/shmctl").chmod(0o755)
    for page in sorted(ROOT.glob("man/man[0-9]/*")):
        compress(page.read_bytes(), tree / "usr/share/man" / page.parent.name / f"{page.name}.gz")
    for unit in sorted((ROOT / "contrib/systemd").glob("*.*")):
        installed = tree / "usr/lib/systemd/system" / unit.name
        copy(unit, installed)
        installed.write_text(installed.read_text().replace("/usr/local/bin/shmctl", "/usr/bin/shmctl"))


def document(tree: Path, version: str, licences: dict[str, str]) -> None:
    """Write the changelog and the licences."""
    date = formatdate(time.time(), localtime=False)
    entry = f"shmctl ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n"
    entry += f" -- The shmctl authors <shmctl@example.org>  {date}\n"
    compress(entry.encode(), tree / DOC / "changelog.gz")
    compress((ROOT / "CHANGELOG.md").read_bytes(), tree / DOC / "CHANGELOG.md.gz")
    parts = [f"{name}\n{'=' * len(name)}\n\n{text}" for name, text in licences.items()]
    head = "shmctl, and the packages that are bundled in /usr/lib/shmctl, each with its licence.\n\n"
    copyright_file = tree / DOC / "copyright"
    copyright_file.write_text(head + "\n\n".join(parts))
    copyright_file.chmod(0o644)


def control(tree: Path, version: str) -> None:
    """Write the package's metadata and its scripts."""
    python, following = sys.version_info[:2], sys.version_info[1] + 1
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    folder = tree / "DEBIAN"
    folder.mkdir()
    (folder / "control").write_text(
        textwrap.dedent(f"""\
        Package: shmctl
        Version: {version}
        Architecture: {architecture()}
        Maintainer: The shmctl authors <shmctl@example.org>
        Installed-Size: {size}
        Depends: python3 (>= {python[0]}.{python[1]}~), python3 (<< {python[0]}.{following}~), libc6
        Recommends: man-db, less
        Suggests: gcc | c-compiler
        Section: utils
        Priority: optional
        Description: command line for POSIX shared-memory objects
        """)
        + DESCRIPTION
        + "\n"
    )
    (folder / "conffiles").write_text("/etc/shmctl/families.toml\n")
    for script in ("postinst", "prerm"):
        copy(PARTS / script, folder / script)
        (folder / script).chmod(0o755)


def copy(source: Path, place: Path) -> None:
    """Copy a file; all may read it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(source.read_bytes())
    place.chmod(0o644)


def compress(content: bytes, place: Path) -> None:
    """Write ``content`` as gzip -9n would."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(gzip.compress(content, 9, mtime=0))
    place.chmod(0o644)


if __name__ == "__main__":
    main()
