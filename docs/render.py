"""Render the library's documentation as HTML into the folder given; any warning is an error."""

import sys
import warnings
from pathlib import Path

import pdoc

import shmctl


def main(folder: str) -> None:
    """Write ``shmctl.html`` and what belongs to it."""
    warnings.simplefilter("error")
    # pdoc shows what __all__ names, and what has been loaded.
    shmctl.__all__ = ["create", "open", "list", *shmctl.__all__[1:]]
    for name in shmctl.__all__:
        getattr(shmctl, name)
    # It also looks for the source where a class says that it is.
    shmctl.ShmError.__module__ = shmctl.InputError.__module__ = "shmctl.core.errors"
    pdoc.render.configure(show_source=False)
    pdoc.pdoc("shmctl", output_directory=Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
