"""shmctl run."""

import errno
import os

import click

from shmctl.cli import messages
from shmctl.cli.exec import run_child
from shmctl.cli.parsing import CommandWithProgram
from shmctl.cli.session import Session, pass_session
from shmctl.cli.sources import opened_input
from shmctl.cli.types import FILE, NAME, SIZE, completed_by
from shmctl.core.errors import ShmError
from shmctl.core.names import Name, random_name
from shmctl.core.objects.copy_in import copy_in
from shmctl.core.objects.create import TemporaryObject, temporary_object
from shmctl.core.objects.open import DEFAULT_MODE
from shmctl.core.objects.resize import set_size
from shmctl.core.objects.write import Fit
from shmctl.core.sizes import counted


@click.command(cls=CommandWithProgram)
@click.argument(
    "argv",
    metavar="CMD...",
    nargs=-1,
    type=click.UNPROCESSED,
    required=True,
    shell_complete=completed_by("complete_command"),
)
@click.option("-s", "--size", type=SIZE, metavar="SIZE", help="Size in bytes: 100, 4K, 2GiB (0, or FILE's).")
@click.option("--name", type=NAME, metavar="NAME", help="The object's name (a random one).")
@click.option("--from", "source_file", metavar="FILE", type=FILE, help="Fill the object from FILE first.")
@click.option("--keep-on-failure", is_flag=True, help="Keep the object if CMD fails.")
@pass_session
def command(
    session: Session,
    argv: tuple[str, ...],
    size: int | None,
    name: Name | None,
    source_file: str | None,
    keep_on_failure: bool,
) -> None:
    """Run CMD with an object that lives exactly as long (shm_open, shm_unlink).

    The object is made with O_EXCL and removed when CMD ends, or when a signal ends either of them.
    Its name is in the environment variable SHM_NAME and stands for each {} in CMD. CMD's status is
    returned.
    """
    with temporary_object(name or random_name("run"), DEFAULT_MODE, session.directory) as target:
        _fill(target, size, source_file)
        shown = os.fsdecode(target.name)
        environment = {**os.environ, "SHM_NAME": shown}
        status = run_child([word.replace("{}", shown) for word in argv], environment)
        if status and keep_on_failure:
            target.outlives = True
    messages.end_with(status)


def _fill(target: TemporaryObject, size: int | None, source_file: str | None) -> None:
    if source_file is not None:
        with opened_input(source_file) as source:
            copy_in(target.opened, 0, source, Fit(grow=True))
    if size is not None:
        if target.opened.stat().st_size > size:
            detail = f"FILE holds more than {counted(size, 'byte')}"
            raise ShmError("ftruncate", target.name, errno.EFBIG, detail=detail)
        set_size(target.opened, 0, size, reserve=False)
