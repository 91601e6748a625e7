"""shmctl create."""

import click

from shmctl.cli import messages
from shmctl.cli.options import Combine, atomic_options, new_names, new_names_argument, verbose_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import MODE, SIZE
from shmctl.core.names import Name, escape, parse_name
from shmctl.core.objects.create import created
from shmctl.core.objects.open import DEFAULT_MODE
from shmctl.core.objects.resize import set_size
from shmctl.core.rules import exclude, go_with


@click.command(
    cls=Command,
    finish=Combine(
        go_with("replace", "atomic"),
        exclude(
            "atomic",
            "exclusive",
            says="--atomic makes a new object: not --no-excl but --replace goes with it",
        ),
        exclude("atomic", "trunc", says="--atomic makes a new object: --trunc does not go with it"),
    ),
)
@new_names_argument
@click.option("-s", "--size", type=SIZE, metavar="SIZE", help="Size in bytes: 100, 4K, 2GiB (0).")
@click.option(
    "-m",
    "--mode",
    type=MODE,
    metavar="MODE",
    help="Permissions in octal, less the umask (600).",
)
@click.option(
    "--excl/--no-excl",
    "exclusive",
    default=True,
    help="Refuse a name that exists (O_EXCL), or open it and resize it where SIZE differs.",
)
@click.option("--trunc", is_flag=True, help="With --no-excl: empty an existing object first (O_TRUNC).")
@click.option("--reserve", is_flag=True, help="Allocate the memory now (posix_fallocate).")
@atomic_options
@verbose_option
@pass_session
def command(
    session: Session,
    words: tuple[str, ...],
    size: int | None,
    mode: int | None,
    exclusive: bool,
    trunc: bool,
    reserve: bool,
    atomic: bool,
    replace: bool,
    verbose: bool,
) -> None:
    """Create shared memory objects (shm_open, ftruncate).

    Each NAME becomes an object of SIZE bytes, all zero. An existing name is an error unless
    --no-excl is given. Nothing half made is left behind.
    """
    tell_mode = messages.ModeNotice(mode)
    mode = DEFAULT_MODE if mode is None else mode

    def create_one(name: Name) -> None:
        if atomic:
            made = create_whole(name)
        else:
            with created(
                name,
                size,
                mode,
                exclusive=exclusive,
                truncate=trunc,
                reserve=reserve,
                directory=session.directory,
            ) as target:
                tell_mode(target)
            made = target.created
        if verbose:
            click.echo(f"{'made' if made else 'opened'} {escape(name)}")

    def create_whole(name: Name) -> bool:
        from shmctl.core.objects.publish import created_atomically

        with created_atomically(name, mode, session.directory, replace=replace) as target:
            set_size(target, 0, size or 0, reserve)
            tell_mode(target)
        return target.created

    messages.for_each(new_names(words, size, parse_name, "a SIZE", "--size"), create_one)
