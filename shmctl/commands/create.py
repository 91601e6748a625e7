"""shmctl create."""

import click

from shmctl import report
from shmctl.core.names import Name, escape
from shmctl.core.objects.lifecycle import DEFAULT_MODE, OpenObject, created
from shmctl.options import MODE, SIZE, Session, names_argument, pass_session, verbose_option


@click.command()
@names_argument
@click.option("-s", "--size", type=SIZE, metavar="SIZE", help="Size in bytes: 100, 4K, 2GiB (0).")
@click.option("-m", "--mode", type=MODE, metavar="MODE", help="Permissions in octal, less the umask (600).")
@click.option(
    "--excl/--no-excl",
    "exclusive",
    default=True,
    help="Refuse a name that exists (O_EXCL), or open it and resize it where SIZE differs.",
)
@click.option("--trunc", is_flag=True, help="Empty an object that exists first (O_TRUNC); with --no-excl.")
@click.option("--reserve", is_flag=True, help="Allocate the memory now (posix_fallocate).")
@verbose_option
@pass_session
def command(
    session: Session,
    names: tuple[Name, ...],
    size: int | None,
    mode: int | None,
    exclusive: bool,
    trunc: bool,
    reserve: bool,
    verbose: bool,
) -> None:
    """Make shared-memory objects (shm_open, ftruncate).

    Each NAME becomes an object of SIZE bytes, all zero. An existing name is an error unless
    --no-excl is given. Nothing half made is left behind.
    """
    umask = UmaskNotice(DEFAULT_MODE if mode is None else mode)

    def create_one(name: Name) -> None:
        with created(
            name,
            size,
            umask.wanted,
            exclusive=exclusive,
            truncate=trunc,
            reserve=reserve,
            directory=session.directory,
        ) as target:
            umask.check(target)
        if verbose:
            click.echo(f"{'made' if target.made else 'opened'} {escape(name)}")

    report.for_each(names, create_one)


class UmaskNotice:
    """Tells once that the umask took bits away from the mode that was asked for."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._checked = False

    def check(self, target: OpenObject) -> None:
        """Compare the mode of an object that was just made with what was wanted."""
        if not target.made or self._checked:
            return
        self._checked = True
        missing = self.wanted & ~target.stat().st_mode & 0o777
        if missing:
            report.error(
                f"{escape(target.name)}: made with mode {self.wanted & ~missing:04o}, "
                f"for the umask takes {missing:03o} from {self.wanted:04o}",
                "'shmctl chmod' sets a mode whatever the umask",
                report.current_command(),
            )
