"""What the shell may complete: names of objects, owners, types, fields of structures, processes.

Each function takes click's context and what has been typed of a word, and
gives the words that begin so.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import click
from click.shell_completion import CompletionItem

from shmctl.core.models import DEV_SHM, Directory, Kind, ObjectInfo, user_name
from shmctl.core.names import SEMAPHORE_PREFIX, SHELL_PREFIX, Name, printable
from shmctl.core.sizes import counted

PARTIAL = "partial"
"""The type of an item that goes on: no space follows it."""
COMMAND = "command"
"""The type of an item that stands for whatever programs there are."""
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""What a parameter's ``shell_complete`` is."""

_DEVICE_PREFIX = "/dev/"
_MOST_FIELDS = 10_000


def complete_names(ctx: click.Context, incomplete: str, kind: Kind | None = None) -> list[CompletionItem]:
    """Objects, or those of one kind, in the spelling that was begun: ``/x``, ``x`` or ``/dev/shm/x``.

    Where nothing was typed, the one with a slash: it is what output shows, and no name in it looks
    like an option. The help tells kind and size.
    """
    from shmctl.core.sizes import human_size

    prefix = _spelling(incomplete)
    # sem_open(3) knows /free, which is the file sem.free; either may be typed.
    bare = kind is Kind.SEMAPHORE and prefix != SHELL_PREFIX and not incomplete.startswith(("/sem.", "sem."))
    head = SEMAPHORE_PREFIX if bare else b"/"
    begun = head + os.fsencode(incomplete[len(prefix) :])
    words = [
        (prefix + os.fsdecode(info.name.removeprefix(head)), f"{info.kind.value}, {human_size(info.size)}")
        for info in _scan(ctx, begun)
        if (info.is_object if kind is None else info.kind is kind)
    ]
    return [CompletionItem(word, help=text) for word, text in sorted(words)]


def _spelling(incomplete: str) -> str:
    """What a whole name in the spelling that was begun has before the bare name."""
    if len(incomplete) >= len(_DEVICE_PREFIX) and (
        incomplete.startswith(SHELL_PREFIX) or SHELL_PREFIX.startswith(incomplete)
    ):
        return SHELL_PREFIX
    return "/" if not incomplete or incomplete.startswith("/") else ""


def _scan(ctx: click.Context, begun: bytes = b"/") -> Iterator[ObjectInfo]:
    """What there is where ``--target`` says, of names that begin so."""
    from shmctl.core.inspect.snapshot import Snapshot

    def matches(name: Name) -> bool:
        return name.startswith(begun)

    with _directory(ctx) as directory:
        yield from Snapshot(directory, matches).entries


def _directory(ctx: click.Context) -> AbstractContextManager[Directory]:
    root = ctx.find_root()
    pid = root.params.get("target_pid")
    if pid is None:
        return nullcontext(getattr(root.obj, "directory", DEV_SHM))
    from shmctl.core.target import directory_of

    return directory_of(pid)


def complete_lost(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Objects without a name: their last names, or once a digit is typed their inodes."""
    from shmctl.core.inspect.snapshot import Snapshot
    from shmctl.core.sizes import human_size

    with _directory(ctx) as directory:
        unlinked = Snapshot(directory).unlinked
    words = []
    for each in unlinked:
        word = str(each.identity[1]) if incomplete.isdigit() else os.fsdecode(each.base or b"")
        words.append((word, f"{human_size(each.allocated or 0)}, inode {each.identity[1]}"))
    return [CompletionItem(word, help=text) for word, text in sorted(words) if word.startswith(incomplete)]


def complete_owners(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The users who own something in /dev/shm; the help says how much."""
    counts: dict[str, int] = {}
    for info in _scan(ctx):
        owner = user_name(info.st.st_uid)
        counts[owner] = counts.get(owner, 0) + 1
    return [
        CompletionItem(owner, help=counted(count, "object"))
        for owner, count in sorted(counts.items())
        if owner.startswith(incomplete)
    ]


def complete_ownership(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """``OWNER`` out of the users of the system, and after a colon ``OWNER:GROUP``."""
    import grp
    import pwd

    owner, colon, _ = incomplete.partition(":")
    if colon:
        words = [f"{owner}:{group.gr_name}" for group in grp.getgrall()]
    else:
        words = [user.pw_name for user in pwd.getpwall()]
    return _starting(incomplete, sorted(set(words)))


def complete_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The scalar types of --type, with their sizes."""
    from shmctl.core.layouts.scalars import TYPES

    return [
        CompletionItem(name, help=counted(type_.size, "byte"))
        for name, type_ in TYPES.items()
        if name.startswith(incomplete)
    ]


def complete_struct(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The types of the --elf given before, else of the object's holders; the help tells their sizes."""
    from shmctl.core.errors import InputError, ShmError

    try:
        return [
            CompletionItem(name, help=counted(size, "byte") if size else None)
            for name, size in dict(_type_names(ctx)).items()
            if name.startswith(incomplete) and printable(name) == name
        ]
    except (InputError, ShmError):
        return []


def _type_names(ctx: click.Context) -> Iterator[tuple[str, int]]:
    from shmctl.core.layouts.lookup import Library
    from shmctl.core.layouts.programs import names_in

    path, pid = ctx.params.get("elf"), ctx.params.get("pid")
    if path is not None:
        with Library(path) as library:
            yield from library.names()
    elif ctx.params.get("header") is None:
        yield from names_in([pid] if pid is not None else _holders(ctx))


def _holders(ctx: click.Context) -> list[int]:
    from shmctl.cli.struct_output import holders_of

    name = ctx.params.get("name")
    if name is None:
        return []
    with _directory(ctx) as directory:
        return holders_of(name, directory)


def complete_fields(ctx: click.Context, ending: str, incomplete: str) -> list[CompletionItem]:
    """The fields of the --struct given before, each with ``ending``; the help tells type and offset."""
    from shmctl.core.errors import UnknownTypeError
    from shmctl.core.requests import LayoutSource

    if ctx.params.get("declaration") is None:
        return []
    source = LayoutSource._make(ctx.params.get(field) for field in LayoutSource._fields)
    try:
        layout = source.load()
    except UnknownTypeError:
        layout = source.load_from_processes(_holders(ctx))
    kind = PARTIAL if ending else "plain"
    return [
        CompletionItem(field.path + ending, type=kind, help=f"{field.ctype} at {field.offset}")
        for field in islice(layout.fields(), _MOST_FIELDS)
        if (field.path + ending).startswith(incomplete)
    ]


def complete_pids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Processes, by number, with their command; where nothing is typed, those in other mount namespaces.

    If there are none of those, all; processes whose namespace may not be seen cannot be a target.
    """
    from shmctl.core import proc

    own = proc.namespace(None, "mnt")
    here: list[CompletionItem] = []
    elsewhere: list[CompletionItem] = []

    def look_at(pid: int) -> Iterator[tuple[bytes, CompletionItem]]:
        namespace = proc.namespace(pid, "mnt")
        if proc.has_program(pid):
            command = proc.command(pid).decode("utf-8", "surrogateescape")
            yield namespace, CompletionItem(str(pid), help=printable(command))

    begun = [pid for pid in proc.pids() if str(pid).startswith(incomplete)]
    for namespace, item in proc.survey(begun, look_at)[0]:
        (here if namespace == own else elsewhere).append(item)
    return elsewhere if elsewhere and not incomplete else here + elsewhere


def complete_command(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Programs for the first word of CMD, files for the others."""
    first = not ctx.params.get(param.name or "") and "/" not in incomplete
    return [CompletionItem(incomplete, type=COMMAND if first else "file")]


def complete_column(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """A column of the listing."""
    from shmctl.render.listing import MEANINGS

    return [
        CompletionItem(column, help=meaning)
        for column, meaning in MEANINGS.items()
        if column.startswith(incomplete)
    ]


def complete_columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """One more column after the commas of a list, which may begin with ``+``."""
    from shmctl.render.listing import ALL_COLUMNS

    head, comma, last = incomplete.rpartition(",")
    plus = "+" if last.startswith("+") else ""
    given = {word.removeprefix("+") for word in head.split(",")}
    words = [head + comma + plus + column for column in ALL_COLUMNS if column not in given]
    return [CompletionItem(word, type=PARTIAL) for word in words if word.startswith(incomplete)]


def _starting(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
