"""Command lines to break off at every call, and what may be seen of them when they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

State = Mapping[str, Any]
"""What the runner tells of an object."""
Half = Callable[[State, State], bool]
"""Whether an object, (before, now), may look like that when the command was killed half way."""

OLD = "old content"
SEMAPHORE = "\3" + "\0" * 7 + "\x80" + "\0" * 23  # of value 3, as the C library writes it
BYSTANDERS = {"bystander": {"content": "mine", "mode": 0o640}, "sem.bystander": {"content": SEMAPHORE}}
PIPED = "piped " * 100
LONG = "long pipe" * 70_000  # longer than any buffer on its way
INPUT = "file" * 1000


def _never(before: State, now: State) -> bool:
    return False


def resized(before: State, now: State) -> bool:
    """Of another size, with the old content as far as that goes, and zeros after it."""
    kept = before["content"][: len(now["content"])]
    return bool(now["content"] == kept.ljust(len(now["content"]), "\0"))


def filling(data: str) -> Half:
    """Growing or grown, and ``data`` in it as far as it went."""

    def half(before: State, now: State) -> bool:
        size = len(now["content"])
        return any(
            now["content"] == (data[:count] + before["content"][count:]).ljust(size, "\0")[:size]
            for count in {0, len(data), *range(0, len(data) + 1, 4096), size}
        )

    return half


def _overwritten(before: State, now: State) -> bool:
    """For ``write -o 8 "NEW text" --grow``: of the old size again, with what fits into that stored."""
    return bool(now["content"] == before["content"][:8] + "NEW text"[: len(before["content"]) - 8])


@dataclass(frozen=True)
class Scenario:
    """A command line, what is there before, and what a killed or a failed one may leave of its operands.

    ``half`` is of an object that was there, or that it made; ``failed`` of one
    that was there when the command could not do what it was asked for.
    """

    args: list[str]
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stdin: str | None = None
    half: Half = _never
    failed: Half = _never
    umask: int = 0o022
    leaves: str = ""  # begins the name of what the command or the C library makes under a name of its own
    several: bool = False  # operands are seen to one after another, whatever becomes of the others
    replaces: bool = False  # an object of that name takes the place of the one that was there
    cautious: bool = False  # leaves alone what it cannot be sure of, and that is no failure
    every_error: bool = False  # in the usual run, too


X = {"x": {"content": OLD}}
XY = {**X, "y": {"content": "more content"}}
SEM = {"sem.x": {"content": SEMAPHORE}}
NEW = filling("")

MUTATING: dict[str, Scenario] = {
    "create": Scenario(["create", "/new", "-s", "5000"], half=NEW, every_error=True),
    "create several": Scenario(["create", "/a", "/b", "/c", "-s", "10"], half=NEW, several=True),
    "create under a umask": Scenario(["create", "/new", "-m", "666"], half=NEW, umask=0o077),
    "create --reserve": Scenario(["create", "/new", "-s", "5000", "--reserve"], half=NEW, every_error=True),
    "create --no-excl, new": Scenario(
        ["create", "/new", "--no-excl", "-s", "50"], half=NEW, every_error=True
    ),
    "create --no-excl, growing": Scenario(["create", "/x", "--no-excl", "-s", "5000"], X, every_error=True),
    "create --no-excl, shrinking": Scenario(["create", "/x", "--no-excl", "-s", "3"], X),
    "create --no-excl --reserve": Scenario(
        ["create", "/x", "--no-excl", "--reserve", "-s", "5000"], X, half=resized, every_error=True
    ),
    # What was to be emptied has been, whatever fails after that.
    "create --trunc": Scenario(
        ["create", "/x", "--no-excl", "--trunc", "-s", "20"],
        X,
        half=resized,
        failed=resized,
        every_error=True,
    ),
    "create --trunc --reserve": Scenario(
        ["create", "/x", "--no-excl", "--trunc", "--reserve", "-s", "20"], X, half=resized, failed=resized
    ),
    "truncate, growing": Scenario(["truncate", "/x", "-s", "+5000"], X, every_error=True),
    "truncate, shrinking": Scenario(["truncate", "/x", "-s", "3"], X, every_error=True),
    "truncate several": Scenario(["truncate", "/x", "/y", "-s", "5"], XY, several=True),
    "write VALUE": Scenario(["write", "/x", "NEW"], X, every_error=True),
    "write VALUE -v": Scenario(["write", "/x", "NEW", "-v"], X),
    "write VALUE --grow": Scenario(
        ["write", "/x", "-o", "8", "NEW text", "--grow"],
        X,
        half=resized,
        failed=_overwritten,
        every_error=True,
    ),
    # What would come after the data goes when the data is in.
    "write VALUE --exact, shrinking": Scenario(
        ["write", "/x", "NEW", "--exact"], X, half=filling("NEW"), failed=filling("NEW")
    ),
    "write VALUE --create": Scenario(["write", "/new", "NEW", "--create"], half=NEW, every_error=True),
    "write VALUE --lock": Scenario(["write", "/x", "NEW", "--lock"], X),
    "write --type": Scenario(["write", "/x", "--type", "int16", "1", "2"], X),
    "write --struct": Scenario(["write", "/x", "--struct", "int a:3; char b[4]", "a=2", "b=no"], X),
    "write --hex": Scenario(["write", "/x", "--hex", "00ff"], X),
    "write --fill": Scenario(["write", "/x", "--fill", "z"], X),
    "write --fill --create": Scenario(["write", "/new", "--fill", "z", "-n", "9000", "--create"], half=NEW),
    "write a file": Scenario(
        ["write", "/x", "-i", "INPUT", "--grow"], X, half=filling(INPUT), every_error=True
    ),
    "write a file --create": Scenario(["write", "/new", "-i", "INPUT", "--create"], half=filling(INPUT)),
    "write a file --exact": Scenario(
        ["write", "/x", "-i", "INPUT", "-n", "5", "--exact"],
        X,
        half=filling(INPUT[:5]),
        failed=filling(INPUT[:5]),
    ),
    "write a pipe": Scenario(["write", "/x", "-n", "9"], X, stdin=PIPED, half=filling(PIPED[:9])),
    "write a pipe --grow": Scenario(
        ["write", "/x", "--grow"], X, stdin=PIPED, half=filling(PIPED), every_error=True
    ),
    "write a pipe --create": Scenario(
        ["write", "/new", "--create"], stdin=PIPED, half=filling(PIPED), every_error=True
    ),
    # Nothing tells the length of a long stream: what came before a failure has been stored.
    "write a long pipe --grow": Scenario(
        ["write", "/x", "--grow"], X, stdin=LONG, half=filling(LONG), failed=filling(LONG)
    ),
    "write a long pipe --create": Scenario(["write", "/new", "--create"], stdin=LONG, half=filling(LONG)),
    "create --atomic": Scenario(
        ["create", "/new", "--atomic", "-s", "5000", "--reserve"], leaves=".", every_error=True
    ),
    "create --atomic --replace": Scenario(
        ["create", "/x", "--atomic", "--replace", "-s", "50"], X, leaves=".", replaces=True, every_error=True
    ),
    "write --atomic": Scenario(
        ["write", "/new", "NEW", "--create", "--atomic"], leaves=".", every_error=True
    ),
    "write --atomic --replace": Scenario(
        ["write", "/x", "--create", "--atomic", "--replace"],
        X,
        stdin=PIPED,
        leaves=".",
        replaces=True,
        every_error=True,
    ),
    "batch": Scenario(
        ["batch"], XY, stdin="create /new -s 10\ntruncate /x -s 3\nrm /y\n", half=NEW, several=True
    ),
    "chmod": Scenario(["chmod", "640", "/x", "/y"], XY, several=True),
    "chown": Scenario(["chown", "65534:65534", "/x", "/y"], XY, several=True),
    "rm": Scenario(["rm", "/x"], X, every_error=True),
    "rm several": Scenario(["rm", "/x", "/y", "-v"], XY, several=True, every_error=True),
    "rm PATTERN": Scenario(["rm", "[xy]"], XY, several=True, every_error=True),
    "rm -f": Scenario(["rm", "-f", "/x", "/not-there"], X, several=True),
    "unlink": Scenario(["unlink", "/x"], X),
    "mv": Scenario(["mv", "/x", "/new"], X, every_error=True),
    "cp": Scenario(["cp", "/x", "/new"], X, every_error=True),
    "cp --replace": Scenario(["cp", "--replace", "/x", "/y"], XY, replaces=True, leaves=".shmctl-replace-"),
    "gc": Scenario(["gc", "[xy]", "--yes", "--min-age", "0"], XY, several=True, cautious=True),
    # The C library makes a file of a name of its own first, and never looks whether that goes; the one
    # that was asked for stays if the library stumbles after it.
    "sem create": Scenario(["sem", "create", "/x"], leaves="sem.", several=True),
    "sem create --no-excl": Scenario(["sem", "create", "/x", "--no-excl"], SEM),
    "sem create --no-excl, new": Scenario(["sem", "create", "/x", "--no-excl"], leaves="sem.", several=True),
    "sem post": Scenario(["sem", "post", "/x"], SEM),
    "sem wait": Scenario(["sem", "wait", "/x"], SEM),
    "sem wait --timeout": Scenario(["sem", "wait", "/x", "--timeout", "1"], SEM),
    "sem unlink": Scenario(["sem", "unlink", "/x"], SEM),
    "run": Scenario(["run", "--", "/bin/true"], leaves="shmctl-run-"),
    "run --from": Scenario(
        ["run", "--from", "INPUT", "-s", "9000", "--", "/bin/true"], leaves="shmctl-run-", half=filling(INPUT)
    ),
    "run --name": Scenario(["run", "--name", "/new", "-s", "10", "--", "/bin/true"], leaves="new"),
}
LOOKING: dict[str, Scenario] = {
    "read": Scenario(["read", "/x"], X, every_error=True),
    "read --hex": Scenario(["read", "/x", "--hex"], X),
    "read --type": Scenario(["read", "/x", "--type", "uint8", "-c", "3"], X),
    "read --json": Scenario(["read", "/x", "--json"], X),
    "read --struct": Scenario(["read", "/x", "--struct", "char a[4]; int b:2"], X),
    "read --lock": Scenario(["read", "/x", "--lock"], X),
    "stat": Scenario(["stat", "/x", "/y"], XY, several=True),
    "stat --json": Scenario(["stat", "/x", "--json"], X),
    "ls": Scenario(["ls"], XY),
    "ls --json": Scenario(["ls", "--json", "-o", "+holders,verdict"], XY),
    "leaks": Scenario(["leaks", "--min-age", "0"], XY),
    "gc without --yes": Scenario(["gc", "--min-age", "0"], XY, cautious=True),
    "holders": Scenario(["holders", "/x"], X),
    "holders --unlinked": Scenario(["holders", "--unlinked"], X),
    "df": Scenario(["df"], XY, cautious=True),  # a verdict more is a row more
    "df --json": Scenario(["df", "--json"], XY),
    "wait --exists": Scenario(["wait", "/x", "--timeout", "2"], X),
    "wait CONDITION": Scenario(["wait", "/x", "--type", "uint8", "== 111", "--timeout", "2"], X),
    "sem ls": Scenario(["sem", "ls"], SEM),
    "sem value": Scenario(["sem", "value", "/x"], SEM),
    "rm --dry-run": Scenario(["rm", "-n", "[xy]"], XY),
    "lock": Scenario(["lock", "/x", "--timeout", "1", "--", "/bin/true"], X),
}
