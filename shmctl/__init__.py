"""POSIX shared-memory objects for Python programs: the library behind the ``shmctl`` command.

Create and open objects (`create`, `open`), list and describe them (`list`, `stat`), find their users and
leaks (`holders`, `leaks`), remove them (`unlink`), share C structures with programs in any language
(`Struct`), wait for values (`wait`), and synchronise processes (`lock`, `Semaphore`).

>>> import shmctl
>>> layout = shmctl.Struct("int data; int new_data;")
>>> with shmctl.create("/box", size=layout.size) as box:
...     layout.write(box, data=42, new_data=1)
>>> with shmctl.open("/box") as box:
...     layout.read(box)
{'data': 42, 'new_data': 1}
>>> shmctl.unlink("/box")

A name is a str, bytes or an os.PathLike: ``"/box"``, ``"box"`` and ``Path("/dev/shm/box")`` are the same
object. A failed system call raises `ShmError`, which is also the class that Python itself raises, such as
FileNotFoundError; an invalid argument raises `InputError`, a ValueError. The library registers nothing, and
removes no object unless you ask.
"""

__version__ = "0.2.0"
# In the order of the documentation. `open` and `list` are public, too: `import *` must not hide Python's own.
__all__ = [  # noqa: RUF022
    "create",
    "SharedMemory",
    "unlink",
    "rename",
    "stat",
    "Info",
    "Kind",
    "holders",
    "Holder",
    "Holders",
    "leaks",
    "Judgement",
    "Verdict",
    "Struct",
    "Field",
    "wait",
    "lock",
    "Semaphore",
    "ShmError",
    "InputError",
]

_HOMES = {
    "api.findings": ("Holder", "Holders", "Judgement"),
    "api.looking": ("holders", "leaks", "list", "rename", "stat", "unlink"),
    "api.memory": ("SharedMemory", "create", "open"),
    "api.records": ("Info",),
    "api.semaphores": ("Semaphore",),
    "api.structs": ("Struct",),
    "api.waiting": ("lock", "wait"),
    "core.errors": ("InputError", "ShmError"),
    "core.inspect.verdicts": ("Verdict",),
    "core.models": ("Kind",),
    "core.layouts.fields": ("Field",),
}

TYPE_CHECKING = False  # type checkers know the name; importing typing would take longer than the rest
if TYPE_CHECKING:
    from shmctl.api.findings import Holder, Holders, Judgement
    from shmctl.api.looking import holders, leaks, rename, stat, unlink
    from shmctl.api.looking import list as list
    from shmctl.api.memory import SharedMemory, create
    from shmctl.api.memory import open as open
    from shmctl.api.records import Info
    from shmctl.api.semaphores import Semaphore
    from shmctl.api.structs import Struct
    from shmctl.api.waiting import lock, wait
    from shmctl.core.errors import InputError, ShmError
    from shmctl.core.inspect.verdicts import Verdict
    from shmctl.core.layouts.fields import Field
    from shmctl.core.models import Kind

else:  # a type checker would accept any misspelt name through __getattr__

    def __getattr__(name: str) -> object:
        """Load a public name on first use: the command, which needs none of them, imports this package."""
        for home, names in _HOMES.items():
            if name in names:
                from importlib import import_module

                value = getattr(import_module(f"shmctl.{home}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module 'shmctl' has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *(name for names in _HOMES.values() for name in names)})
