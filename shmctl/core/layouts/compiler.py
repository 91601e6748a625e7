"""Layouts from the C or C++ compiler: it compiles two lines with the header, and its DWARF is the layout.

A header can be hostile, or wrong in ways that never end: the compiler gets no
input, a private directory, limits to its time, memory and files, and is ended
with all that it started. Nothing in a header's or type's name becomes an option.
"""

import os
import re
import select
import signal
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from shmctl.core.errors import FileError, InputError, failing_as
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.lookup import Library
from shmctl.core.layouts.model import ArrayType
from shmctl.core.layouts.values import escape, quote
from shmctl.core.rights import FIXED_PATH, is_on_behalf

SECONDS = 20
"""How long a compilation may take."""
MEMORY = 4 << 30
"""How much address space it may have, in bytes."""
OUTPUT = 256 << 20
"""How long a file it may write, in bytes."""

_MOST_MESSAGES = 20_000
_CPP_ENDINGS = (".hpp", ".hh", ".hxx", ".h++", ".H", ".tcc", ".ipp")
_OBJECT = "shmctl_object"
_OURS = "shmctl"
_FACTS = "shmctl_facts"
_ALIGN = "shmctl_align"
_DEFINE = re.compile(r"[A-Za-z_]\w*(\([\w,. ]*\))?(=.*)?", re.DOTALL | re.ASCII)
_TYPE = re.compile(r"(?:[A-Za-z_]\w*|::|[<>,*&()\[\] ]|[0-9]+)+", re.ASCII)
_USE_KEYWORD = re.compile(
    r"use '(?P<gcc>struct|union|enum)' keyword|must use '(?P<clang>struct|union|enum)' tag"
)
# What could make another program of a compiler: a user's own business, not that of sudo's caller.
_STEERING = (
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
)


class Options(NamedTuple):
    """What a header is compiled with: ``-I`` folders, ``-D`` definitions, the language (None: by name)."""

    include: Sequence[str] = ()
    define: Sequence[str] = ()
    language: str | None = None


class Job(NamedTuple):
    """A compiler's words, what it compiles with, and whether it is C++."""

    words: Sequence[str]
    options: Options
    cpp: bool


class CompilerError(InputError):
    """The compiler refused; ``said`` are its own lines."""

    def __init__(self, message: str, hint: str | None, said: Sequence[str], *, ours: bool) -> None:
        super().__init__(message, hint)
        self.said = said
        # What is said of our own two lines would tell the user nothing.
        self.transcript = () if ours else said


def is_cpp(header: str | None, options: Options) -> bool:
    """Whether to compile as C++."""
    if options.language is not None:
        return options.language == "c++"
    return header is not None and header.endswith(_CPP_ENDINGS)


def find_compiler(cpp: bool) -> list[str] | None:
    """The compiler's words: ``$CC`` or ``$CXX`` split as make does, or the first one found; None: none is."""
    given = None if is_on_behalf() else os.environ.get("CXX" if cpp else "CC")
    if given and given.split():
        words = given.split()
        if _on_path(words[0]) is None:
            raise InputError(f"{'CXX' if cpp else 'CC'}: there is no program {quote(words[0])}")
        return words
    names = ("c++", "g++", "clang++") if cpp else ("cc", "gcc", "clang")
    return next(([name] for name in names if _on_path(name) is not None), None)


def _on_path(program: str) -> str | None:
    if "/" in program:
        return program if os.access(program, os.X_OK) else None
    folders = FIXED_PATH if is_on_behalf() else os.environ.get("PATH", os.defpath)
    for folder in folders.split(":"):
        path = os.path.join(folder or ".", program)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def load_header(path: str, type_name: str, options: Options, words: Sequence[str]) -> Layout:
    """The layout of the type ``type_name`` that the header at ``path`` defines, by the compiler ``words``.

    Raises FileError, InputError, and CompilerError where the compiler refuses.
    """
    with failing_as("open", os.fsencode(path)):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InputError(f"{escape(path)}: not a regular file")
    finally:
        os.close(fd)
    absolute = os.path.abspath(path)
    if any(char in absolute for char in '"\n\r\0'):
        raise InputError(
            f"{escape(path)}: the compiler cannot be given a path with a quote or a line break in it"
        )
    name = _checked_type(type_name)
    opening = f'#include "{absolute}"\n'
    return _compiled(opening, name, escape(path), Job(words, options, is_cpp(path, options)))


_INLINE_HEADERS = (
    "stddef.h", "stdint.h", "stdbool.h", "stdatomic.h", "sys/types.h", "time.h", "sys/time.h", "sys/uio.h",
    "sys/socket.h", "netinet/in.h", "fcntl.h", "signal.h", "limits.h", "wchar.h", "uchar.h", "pthread.h",
    "semaphore.h", "stdio.h",
)  # fmt: skip
_LAST_NAME = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*(?:,[^;{}]*)?;?\s*$", re.ASCII)
_LAST_TAG = re.compile(
    r"(?:^|[;}\n])\s*(?P<keyword>struct|union|enum|class)\s+(?:(?:__attribute__\s*\(\(.*?\)\)|alignas\s*\(.*?\))\s*)*"
    r"(?P<name>[A-Za-z_]\w*)\s*(?::[^{};]*)?\{[^;]",
    re.ASCII,
)


def from_declaration(text: str, options: Options, words: Sequence[str]) -> Layout:
    """The layout of a DECL, by the compiler ``words``: members inline, or what the last statement defines."""
    cpp = is_cpp(None, options)
    headers = () if cpp else _INLINE_HEADERS
    opening = "#define _GNU_SOURCE 1\n" + "".join(f"#include <{header}>\n" for header in headers)
    opening += "#include <stdint.h>\n#include <stddef.h>\n" if cpp else ""
    body = text.rstrip().rstrip(";")
    # Messages are about the user's lines, or about ours.
    lines = f'\n#line 1 "declaration"\n{body};\n#line 1 "{_OURS}"\n'
    attempts = [(f"{opening}typedef struct {{{lines}}} {_OBJECT}_inline;\n", f"{_OBJECT}_inline", "struct")]
    typedef = _LAST_NAME.search(body) if re.search(r"\btypedef\b", body) else None
    tags = list(_LAST_TAG.finditer(body))
    if typedef is not None:
        attempts.insert(0, (f"{opening}{lines}", typedef["name"], typedef["name"]))
    elif body.rstrip().endswith(("}", ")")) and tags:
        tag = f"{tags[-1]['keyword']} {tags[-1]['name']}"
        attempts.insert(0, (f"{opening}{lines}", tag, tag))
    problem: CompilerError | None = None
    for source, name, shown in attempts:
        try:
            layout = _compiled(source, name, "declaration", Job(words, options, cpp))
        except CompilerError as error:
            problem = problem or error
            continue
        if any(True for _ in layout.fields()):
            return Layout(layout.root._replace(name=shown), shown, layout.source)
    raise problem or InputError("the declaration has no member")


def _checked_type(type_name: str) -> str:
    name = " ".join(type_name.split())
    if not _TYPE.fullmatch(name) or not re.match(r"[A-Za-z_:]", name):
        raise InputError(f"{quote(name)} is not the name of a type")
    return name


def _compiled(opening: str, name: str, shown: str, job: Job) -> Layout:
    with private_folder() as folder:
        try:
            return _compile_one(folder, opening, name, shown, job)
        except CompilerError as error:
            # A bare tag of C: the compiler says which word is missing.
            found = _USE_KEYWORD.search("\n".join(error.said))
            if found is None:
                error.hint = error.hint or _near(folder, opening, name, job)
                raise
            return _compile_one(folder, opening, f"{found['gcc'] or found['clang']} {name}", shown, job)


def _near(folder: str, opening: str, name: str, job: Job) -> str | None:
    """The types that look like ``name`` in what compiles without it."""
    try:
        with Library(_object(folder, opening, job)) as library:
            near = library.near(name.rpartition(" ")[2].rpartition("::")[2])
    except (InputError, _FailedError):
        return None
    return f"near names: {', '.join(near)}" if near else None


class _FailedError(Exception):
    """The compiler failed; its lines are the argument."""


def _object(folder: str, text: str, job: Job) -> str:
    """The object file that ``text`` compiles to. Raises _FailedError, and InputError for limits."""
    source, output = f"{folder}/shmctl.{'cc' if job.cpp else 'c'}", f"{folder}/shmctl.o"
    with open(source, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    with suppress(FileNotFoundError):
        os.unlink(output)
    messages = run([*job.words, *_arguments(job), "-o", output, source], folder)
    if messages is not None or not os.path.exists(output):
        raise _FailedError(messages or [], source)
    return output


def _compile_one(folder: str, opening: str, name: str, shown: str, job: Job) -> Layout:
    align = "alignof" if job.cpp else "_Alignof"
    text = opening + (
        f"{name} *{_OBJECT}; typedef {name} {_OBJECT}_t;\n"
        f"enum {_FACTS} {{ {_FACTS}_size = sizeof({_OBJECT}_t), {_ALIGN} = {align}({_OBJECT}_t) }}"
        f" {_FACTS}_of;\n"
    )
    try:
        output = _object(folder, text, job)
    except _FailedError as error:
        messages, source = error.args
        raise _refusal(messages, name, shown, source, job.words) from None
    with Library(output, shown) as library:
        found = library.find(f"{_OBJECT}_t", called=name)
        facts = library.find(f"enum {_FACTS}").type
    labels = getattr(facts, "labels", {})
    if labels.get(f"{_FACTS}_size") != found.type.size:
        raise InputError(f"{shown}: the compiler contradicts itself about {quote(name)}")
    type_ = found.type
    if not isinstance(type_, ArrayType):
        own = f"{_OBJECT}_t"
        type_ = type_._replace(align=labels[_ALIGN], name=name if type_.name == own else type_.name)
    return Layout(type_, name, f"{job.words[0]}, {shown}")


def _arguments(job: Job) -> Iterator[str]:
    words, options, cpp = job
    yield from ("-x", "c++" if cpp else "c", "-g", "-c", "-w", "-fno-eliminate-unused-debug-types")
    program = os.path.basename(os.path.realpath(_on_path(words[0]) or words[0]))
    if "clang" in program or "clang" in words[0]:
        yield "-fstandalone-debug"
    elif cpp:
        yield "-femit-class-debug-always"
    for folder in options.include:
        # As given, but never an option, or what a compiler reads "=" or "-" as.
        yield from ("-I", folder if folder.startswith("/") else f"./{folder}")
    for definition in options.define:
        if not _DEFINE.fullmatch(definition) or "\n" in definition:
            raise InputError(f"{quote(definition)} is not NAME or NAME=VALUE")
        yield from ("-D", definition)


def _refusal(messages: Sequence[str], name: str, shown: str, source: str, words: Sequence[str]) -> InputError:
    """The error for a compilation that failed, with the compiler's lines but for those about our own file."""
    lines = [line for line in messages if line.strip()]
    first = next((line for line in lines if " error: " in line or "fatal error: " in line), "")
    if first.startswith((source, f"{_OURS}:")):
        if re.search(r"incomplete type|invalid application of|undefined type|unknown size", first):
            return CompilerError(
                f"{shown}: {quote(name)} is declared, and not defined", None, lines, ours=True
            )
        return CompilerError(f"{shown}: no type is called {quote(name)}", None, lines, ours=True)
    hint = "--include adds a folder to look for headers in, --define a macro"
    return CompilerError(f"{quote(words[0])} does not compile {shown}", hint, lines, ours=False)


@contextmanager
def private_folder() -> Iterator[str]:
    """A directory that nobody else may enter, and that goes with all that is in it."""
    parent = (not is_on_behalf() and os.environ.get("TMPDIR")) or "/tmp"
    path = f"{parent}/shmctl-{os.getpid()}-{os.urandom(8).hex()}"
    with failing_as("mkdir", os.fsencode(path), FileError):
        os.mkdir(path, 0o700)
    try:
        yield path
    finally:
        for name in os.listdir(path):
            with suppress(OSError):
                os.unlink(f"{path}/{name}")
        with suppress(OSError):
            os.rmdir(path)


def run(command: Sequence[str], folder: str) -> list[str] | None:
    """Run a compiler in the working directory; None if it succeeds, else what it wrote.

    Raises InputError for one that exceeds its limits.
    """
    log = f"{folder}/messages"
    # One limit a call, for dash; one that cannot be set is lower already.
    parts = (f"-t {SECONDS}", f"-v {MEMORY >> 10}", f"-f {OUTPUT >> 9}")
    limits = "; ".join(f"ulimit {part} 2>/dev/null" for part in parts)
    pid = os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", f'{limits}; exec "$@"', "sh", *command],
        _environment(folder),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )
    status = _wait(pid)
    if status == 0:
        return None
    with open(log, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(_MOST_MESSAGES)
    lines = text.splitlines()
    stopped = -status if status < 0 else 0
    if stopped in (signal.SIGXCPU, signal.SIGKILL) or any(re.search(_EXHAUSTED, line) for line in lines[-5:]):
        raise InputError(
            f"{quote(command[0])} was stopped: it took more than {SECONDS} seconds, {MEMORY >> 30} GiB of "
            f"memory or {OUTPUT >> 20} MiB of output",
            "does the header include itself, or a macro grow without end?",
        )
    return lines


_EXHAUSTED = (
    r"out of memory|memory exhausted|cannot allocate memory|CPU time limit|File size limit|bad_alloc|"
    r"Killed signal|signal terminated program"
)


def _wait(pid: int) -> int:
    """The status of ``pid`` (negative: the signal that ended it); after SECONDS its session is killed."""
    ended = False
    try:
        fd = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            ended = bool(poll.poll(SECONDS * 1000))
        finally:
            os.close(fd)
    finally:
        if not ended:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        with suppress(ProcessLookupError):  # what it left behind
            os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)


def _environment(folder: str) -> Mapping[str, str]:
    env = {**os.environ, "LC_ALL": "C", "TMPDIR": folder}
    if is_on_behalf():
        env["PATH"] = FIXED_PATH
        for name in _STEERING:
            env.pop(name, None)
    return env
