"""A fingerprint tells ranges apart as their bytes do, whatever of them is a hole."""

import os
import random

import pytest

from shmctl.core.names import Name
from shmctl.core.objects.open import opened
from shmctl.core.sync.fingerprint import fingerprint
from tests.support import path_of

SIZE = 3_000_000
PAGE = os.sysconf("SC_PAGESIZE")


def of(name: str, offset: int, length: int) -> bytes:
    with opened(Name(name.encode()), os.O_RDONLY) as target:
        return fingerprint(target, offset, length)


def content(name: str, offset: int, length: int) -> bytes:
    return path_of(name).read_bytes()[offset : offset + length]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("offset", "length"), [(0, SIZE), (1, SIZE - 1), (100_001, 2_000_000), (700_000, 300_000), (5, 100)]
)
def test_as_the_bytes_do(name: str, offset: int, length: int, seed: int) -> None:
    """Of changes that change nothing, too: zeros into a hole, and the same data anew."""
    numbers = random.Random(seed)
    path_of(name).touch()
    os.truncate(path_of(name), SIZE)
    seen: dict[bytes, bytes] = {}
    with path_of(name).open("r+b", buffering=0) as file:
        for _ in range(60):
            at = numbers.choice([numbers.randrange(SIZE - PAGE), offset, offset + length - 1, 262_144])
            what = numbers.choice([b"\0", b"\0" * PAGE, b"x", os.urandom(PAGE)])
            os.pwrite(file.fileno(), what[: SIZE - at], at)
            found, there = of(name, offset, length), content(name, offset, length)
            assert seen.setdefault(found, there) == there, "other bytes, the same fingerprint"
    assert len(seen) == len(set(seen.values())), "the same bytes, another fingerprint"
    assert len(seen) > 1


def test_the_same_bytes_at_another_place(name: str) -> None:
    path_of(name).write_bytes(bytes(SIZE))
    found = set()
    for at in (0, PAGE, 262_144, SIZE - 1):
        with path_of(name).open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), b"x", at)
            found.add(of(name, 0, SIZE))
            os.pwrite(file.fileno(), b"\0", at)
    assert len(found) == 4
