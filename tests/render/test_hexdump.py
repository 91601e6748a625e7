import io
import re
import subprocess
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmctl.render.hexdump import write_hexdump


def dump(data: bytes, offset: int = 0, step: int = 1 << 20, *, color: bool = False) -> str:
    out = io.StringIO()
    chunks = (data[start : start + step] for start in range(0, len(data), step))
    write_hexdump(out, chunks, offset, color=color)
    return out.getvalue()


def real_hexdump(data: bytes, offset: int = 0) -> str:
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(offset) + data)
        file.flush()
        argv = ["hexdump", "-C", "-s", str(offset), file.name]
        return subprocess.run(argv, capture_output=True, check=bool(data)).stdout.decode()


runs = st.lists(
    st.tuples(st.binary(min_size=1, max_size=16), st.integers(1, 20)).map(lambda pair: pair[0] * pair[1]),
    max_size=6,
).map(b"".join)


@settings(max_examples=60, deadline=None)
@given(runs, st.sampled_from([0, 1, 5, 16, 100]), st.sampled_from([1, 7, 16, 1 << 20]))
def test_byte_for_byte_what_hexdump_prints(data: bytes, offset: int, step: int) -> None:
    assert dump(data, offset, step) == real_hexdump(data, offset)


@settings(max_examples=60, deadline=None)
@given(st.lists(runs | st.integers(1, 100), max_size=5), st.sampled_from([0, 1, 5, 16, 100]))
def test_holes_are_zeros(pieces: list[bytes | int], offset: int) -> None:
    out = io.StringIO()
    write_hexdump(out, pieces, offset)
    data = b"".join(bytes(piece) if isinstance(piece, int) else piece for piece in pieces)
    assert out.getvalue() == real_hexdump(data, offset)


@pytest.mark.parametrize("step", [1000, 4096, 1 << 20])
def test_repeated_lines_of_any_number(step: int) -> None:
    """Across what is rendered at a time, and again after another line."""
    data = b"".join(bytes([number]) * 16 * count for number, count in enumerate([300, 1, 2, 600, 5, 256, 1]))
    assert dump(data, step=step) == real_hexdump(data)


@pytest.mark.parametrize("size", [0, 1, 8, 9, 15, 16, 17, 31, 32, 33, 48, 64, 100, 4096])
@pytest.mark.parametrize("byte", [0, 65, 255])
def test_repeated_bytes_of_every_length(size: int, byte: int) -> None:
    assert dump(bytes([byte]) * size) == real_hexdump(bytes([byte]) * size)


def test_all_bytes() -> None:
    assert dump(bytes(range(256))) == real_hexdump(bytes(range(256)))


@given(runs)
def test_colour_adds_nothing_but_colour(data: bytes) -> None:
    assert re.sub(r"\x1b\[[0-9;]*m", "", dump(data, color=True)) == dump(data)


def test_offsets_beyond_32_bits() -> None:
    assert dump(b"x", 2**32).startswith("100000000  78")


@pytest.mark.parametrize("zeros", [[bytes(1 << 18)] * 64, [1 << 24], [1 << 23, bytes(5), (1 << 23) - 5]])
def test_a_long_run_of_zeros_is_one_star(zeros: list[bytes | int]) -> None:
    out = io.StringIO()
    write_hexdump(out, zeros, 0)
    assert out.getvalue() == f"{0:08x}  {'00 ' * 8} {'00 ' * 8} |{'.' * 16}|\n*\n{1 << 24:08x}\n"


def test_what_is_known_is_written_at_once() -> None:
    raw = io.BytesIO()

    def pieces() -> Iterator[bytes | int]:
        yield b"the first line.."
        assert raw.getvalue().count(b"\n") == 1
        yield 1 << 60
        assert raw.getvalue().count(b"\n") == 3

    out = io.TextIOWrapper(raw)
    write_hexdump(out, pieces(), 0)
    out.flush()
    assert raw.getvalue().endswith(b"*\n1000000000000010\n")
