"""Starts shmctl out of shmctl.pyz. Nothing is written: the disk may be full, and there may be no home.

Python imports modules from an archive, but for compiled ones, which the loader
of the C library takes from files only. Here they become files in memory.
"""

import os
import sys
from fcntl import F_DUPFD_CLOEXEC, fcntl
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from zipimport import zipimporter

ARCHIVE = sys.path[0]


class _Extension(ExtensionFileLoader):
    """Loads a module from a descriptor, and closes that."""

    def __init__(self, name: str, fd: int) -> None:
        super().__init__(name, f"/proc/self/fd/{fd}")
        self._fd = fd

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        try:
            return super().create_module(spec)
        finally:
            os.close(self._fd)


class _Extensions:
    """Finds the compiled modules in the archive that are for this Python."""

    def __init__(self) -> None:
        self._archive = zipimporter(ARCHIVE)
        self._fds = 100

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        for suffix in EXTENSION_SUFFIXES:
            try:
                data = self._archive.get_data(name.replace(".", "/") + suffix)
            except OSError:
                continue
            return spec_from_loader(name, _Extension(name, self._file(name, data)))
        return None

    def _file(self, name: str, data: bytes) -> int:
        with open(os.memfd_create(name), "wb") as file:
            file.write(data)
            file.flush()
            # The C library remembers by path what it has loaded: no number may come twice.
            self._fds += 1
            return fcntl(file.fileno(), F_DUPFD_CLOEXEC, self._fds)


def main() -> None:
    extensions = _Extensions()
    # Before the system's own packages, whose versions may be others.
    sys.meta_path.insert(0, extensions)
    if sys.version_info < (3, 11) or extensions.find_spec("posix_ipc") is None:
        made_for = zipimporter(ARCHIVE).get_data("made-for").decode()
        sys.exit(f"{ARCHIVE}: it is for {made_for}; this is Python {sys.version.split()[0]}, {sys.platform}")
    from shmctl.__main__ import main as run

    run()


if __name__ == "__main__":
    main()
