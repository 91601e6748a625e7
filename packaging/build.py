#!/usr/bin/env python3
"""Make dist/shmctl.pyz: shmctl and all that it needs in one file, for where nothing can be installed.

Run it with the Python that the machine has, in a version of the same minor
number: the file has compiled modules in it. It takes pip, and the packages
from wherever pip is configured to have them.
"""

import argparse
import compileall
import platform
import subprocess
import sys
import tempfile
import zipapp
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Nobody needs these in there: commands of other packages, and what pip and type checkers look for.
_SUPERFLUOUS = ("bin", "share", "*.dist-info", "**/__pycache__", "**/*.pyi", "**/py.typed", "**/test*/")


def main() -> None:
    """Build the archive from this tree, or from a wheel."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist/shmctl.pyz")
    parser.add_argument("source", nargs="?", default=str(ROOT), help="a wheel, instead of this tree")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        content = Path(folder) / "content"
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--no-compile", "--target", content, options.source], check=True)
        _trim(content)
        (content / "made-for").write_text(f"CPython {platform.python_version()[:4]} on {platform.machine()}")
        (content / "__main__.py").write_bytes((HERE / "__main__.py").read_bytes())
        # Compiled beside each source, where an import from an archive looks.
        compileall.compile_dir(content, legacy=True, quiet=1)
        options.output.parent.mkdir(exist_ok=True)
        zipapp.create_archive(content, options.output, interpreter="/usr/bin/env python3", compressed=True)
    print(options.output)


def _trim(content: Path) -> None:
    from shutil import rmtree

    for pattern in _SUPERFLUOUS:
        for path in list(content.glob(pattern)):
            rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
