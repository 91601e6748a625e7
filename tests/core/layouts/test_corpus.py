"""Real headers: every type that gcc takes is laid out as gcc lays it out, or refused.

The headers are those of Debian's -dev packages. By default as many as fit into some
seconds; ``SHMCTL_CORPUS=full`` takes all (half an hour), and prints what was accepted.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shmctl.core.errors import InputError
from shmctl.core.layouts.compiler import Options, load_header
from shmctl.core.layouts.declarations import from_header
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.load import read_header
from shmctl.core.layouts.lookup import Library
from shmctl.core.layouts.model import ArrayType, RecordType, Type
from tests.core.layouts.independent import Shape, Types

PACKAGES = (
    *("linux-libc-dev", "libc6-dev", "zlib1g-dev", "libdrm-dev", "libx11-dev", "x11proto-dev", "libxcb1-dev"),
    *("libevent-dev", "libusb-1.0-0-dev", "libnl-3-dev", "libpcap-dev", "libcap-dev", "libasound2-dev"),
    *("libspa-0.2-dev", "libibverbs-dev"),
)
FULL = os.environ.get("SHMCTL_CORPUS") == "full"
SECONDS = 3600 if FULL else 8


def shape(type_: Type) -> Shape:
    """The same shape as the independent reader's."""
    if isinstance(type_, ArrayType):
        return ("array", type_.length, shape(type_.item))
    if isinstance(type_, RecordType):
        if type_.lock and not type_.members:
            return ("lock", type_.size)
        members = tuple((m.name, m.bit_offset, m.bit_size, shape(m.type)) for m in type_.members)
        return ("record", type_.size, members)
    if type_.kind in ("float", "longdouble") or "_Complex" in type_.name or "complex" in type_.name:
        return ("float", type_.size)
    return ("lock", type_.size) if type_.kind == "opaque" else ("int", type_.size, type_.signed)


def assert_same(ours: Shape, theirs: Shape, what: str) -> None:
    if ours[0] == "lock":
        assert ours[1] == size_of(theirs), what
        return
    assert ours[0] == theirs[0], (what, ours, theirs)
    if ours[0] == "record":
        assert ours[1] == theirs[1], (what, "size", ours[1], theirs[1])
        assert [m[:3] for m in ours[2]] == [m[:3] for m in theirs[2]], what
        for mine, other in zip(ours[2], theirs[2], strict=True):
            assert_same(mine[3], other[3], f"{what}.{mine[0]}")
    elif ours[0] == "array":
        assert ours[1] == theirs[1], (what, ours, theirs)
        assert_same(ours[2], theirs[2], f"{what}[]")
    else:
        assert ours == theirs, what


def size_of(of: Shape) -> int:
    return of[1] * size_of(of[2]) if of[0] == "array" else int(of[1])


def root(layout: Layout) -> Type:
    """What a layout is of: a type that is no record is the one member of a record made for it."""
    if layout.root.keyword == "type":
        return layout.root.members[0].type
    return layout.root


@pytest.fixture(scope="module")
def headers() -> list[Path]:
    listed = subprocess.run(["dpkg", "-L", *PACKAGES], capture_output=True, text=True, check=True).stdout
    found = sorted(
        {
            Path(line)
            for line in listed.splitlines()
            if line.endswith(".h") and line.startswith("/usr/include/")
        }
    )
    assert len(found) >= 400
    random.Random(1).shuffle(found)
    return found


def compiled(header: Path, folder: Path) -> Types | None:
    """The header's types by gcc alone; None for one that gcc does not take alone."""
    source, output = folder / "x.c", folder / "x.o"
    source.write_text(f'#include "{header}"\n')
    command = ["cc", "-g", "-c", "-w", "-fno-eliminate-unused-debug-types", "-o", str(output), str(source)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return None
    return Types(output)


def corpus(headers: list[Path], folder: Path, seconds: float) -> Iterator[tuple[Path, str, Shape]]:
    """Header, type and shape, until the time is over."""
    end = time.monotonic() + seconds
    for header in headers:
        if time.monotonic() > end:
            return
        types = compiled(header, folder)
        if types is None:
            continue
        for name, entry in types.defined_in(header.name):
            if time.monotonic() > end:
                return
            expected = types.shape(entry)
            if expected is not None and size_of(expected):
                yield header, name, expected


def test_compiled_and_by_elf(headers: list[Path], tmp_path: Path, capsys: Any) -> None:
    taken = refused = 0
    reasons: list[str] = []
    for header, name, expected in corpus(headers, tmp_path, SECONDS):
        with Library(str(tmp_path / "x.o")) as library:
            assert_same(shape(library.find(f"{header.name}:{name}").type), expected, f"--elf {header} {name}")
        try:
            layout = load_header(str(header), name, Options(), ["cc"])
        except InputError as error:
            refused += 1
            reasons.append(f"{header} {name}: {error}")
            continue
        taken += 1
        assert_same(shape(root(layout)), expected, f"{header} {name}")
    with capsys.disabled():
        if FULL:
            said = f"\n{taken} types laid out by the compiler, {refused} refused"
            sys.stdout.write("\n  ".join([said, *reasons[:20], ""]))
    assert taken > (2000 if FULL else 20)
    assert taken >= 0.98 * (taken + refused), reasons


def test_without_a_compiler(headers: list[Path], tmp_path: Path, capsys: Any) -> None:
    taken = refused = 0
    texts: dict[Path, str] = {}
    for header, name, expected in corpus(headers, tmp_path, SECONDS):
        text = texts.setdefault(header, read_header(str(header)))
        try:
            layout = from_header(text, name, str(header))
        except InputError as error:
            assert str(error).isprintable()
            refused += 1
            continue
        taken += 1
        assert_same(shape(root(layout)), expected, f"{header} {name}")
    with capsys.disabled():
        if FULL:
            sys.stdout.write(
                f"\n{taken} of {taken + refused} types laid out without a compiler, none wrong\n"
            )
    assert taken > 10
