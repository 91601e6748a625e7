"""Structures as Python values, with C and the command on the other side."""

import math
from pathlib import Path

import numpy
import pytest

import shmctl
from tests.support import compile_c, done, path_of, run_command

DECLARATION = """
enum color { RED, GREEN = 5 };
struct all {
    char tag;
    _Bool flag;
    short small[3];
    unsigned low : 3, high : 5;
    int sign : 4;
    enum color color;
    float single;
    double real;
    struct { int x, y; } points[2];
    int matrix[2][3];
    char note[8];
    char names[2][4];
    void *pointer;
    unsigned long long big;
};
"""
VALUES = {
    "tag": "A",
    "flag": True,
    "small": [-1, 0, 32767],
    "low": 5,
    "high": 31,
    "sign": -3,
    "color": "GREEN",
    "single": 0.5,
    "real": 0.1,
    "points": [{"x": 1, "y": 2}, {"x": 3, "y": -4}],
    "matrix": [[1, 2, 3], [4, 5, 6]],
    "note": "héllo",
    "names": ["ab", "cdef"],
    "pointer": 0x7F00,
    "big": 2**64 - 1,
}


@pytest.fixture
def layout() -> shmctl.Struct:
    return shmctl.Struct(DECLARATION)


def test_every_kind_of_value_comes_back(name: str, layout: shmctl.Struct) -> None:
    with shmctl.create(name, size=layout.size + 10) as box:
        layout.write(box, VALUES, offset=10)
        assert layout.read(box, offset=10) == VALUES | {"color": 5}
        before = box.read()
        layout.write(box, layout.read(box, offset=10), offset=10)
        assert box.read() == before
        assert box.read(0, 10) == bytes(10)


def test_c_sees_the_same(name: str, layout: shmctl.Struct, tmp_path: Path) -> None:
    program = f"""
    #include <fcntl.h>
    #include <stdio.h>
    #include <sys/mman.h>
    {DECLARATION}
    int main(int argc, char **argv)
    {{
        int fd = shm_open(argv[1], O_RDWR, 0);
        struct all *a = mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (a == MAP_FAILED) return 3;
        printf("%zu %c %d %d %d %u %u %d %d %g %g %d %d %d %s %.4s %p %llu\\n", sizeof *a, a->tag, a->flag,
            a->small[0], a->small[2], a->low, a->high, a->sign, a->color, a->single, a->real,
            a->points[1].x, a->points[1].y, a->matrix[1][2], a->note, a->names[1], a->pointer, a->big);
        a->sign = 7;
        a->points[0].y = 99;
        a->single = 0.25;
        return 0;
    }}
    """
    with shmctl.create(name, size=layout.size) as box:
        layout.write(box, VALUES)
        result = run_command([compile_c(program, tmp_path), name])
        assert result.text == (
            f"{layout.size} A 1 -1 32767 5 31 -3 5 0.5 0.1 3 -4 6 héllo cdef 0x7f00 {2**64 - 1}\n"
        )
        assert layout.get(box, "sign") == 7
        assert layout.get(box, "points[0].y") == 99
        assert layout.read(box) == VALUES | {
            "color": 5,
            "sign": 7,
            "single": 0.25,
            "points": [{"x": 1, "y": 99}, {"x": 3, "y": -4}],
        }


def test_only_the_given_fields_are_stored(name: str, layout: shmctl.Struct) -> None:
    with shmctl.create(name, size=layout.size) as box:
        box.write(b"\xff" * layout.size)
        layout.write(box, {"points[1].x": 1, "small[1]": 2, "high": 0}, real=3)
        changed = {at for at, byte in enumerate(box.read()) if byte != 0xFF}
        fields = {field.path: field for field in layout.fields()}
        expected = {
            at
            for path in ("points[1].x", "small[1]", "real", "high")
            for at in range(fields[path].offset, fields[path].offset + fields[path].size)
        }
        assert changed <= expected
        assert (layout.get(box, "low"), layout.get(box, "high")) == (7, 0)
        assert (layout.get(box, "points[1].x"), layout.get(box, "real")) == (1, 3.0)
    assert done("read", name, "--struct", DECLARATION, "small[1]") == "2\n"


def test_bytes_that_are_no_text_survive(name: str) -> None:
    layout = shmctl.Struct("char one; char text[6];")
    with shmctl.create(name, size=layout.size) as box:
        layout.write(box, one=b"\xff", text=b"a\xffb")
        assert box.read() == b"\xffa\xffb\0\0\0"
        values = layout.read(box)
        assert values == {"one": "\xff", "text": "a\udcffb"}
        layout.write(box, values)
        assert box.read() == b"\xffa\xffb\0\0\0"


def test_numbers_of_numpy(name: str) -> None:
    layout = shmctl.Struct("int n; double a[4]; float f;")
    with shmctl.create(name, size=layout.size) as box:
        layout.write(box, n=numpy.int64(7), a=numpy.linspace(0, 1, 4), f=numpy.float32(0.1))
        assert layout.get(box, "n") == 7
        assert layout.read(box)["a"] == numpy.linspace(0, 1, 4).tolist()
        assert layout.get(box, "f") == numpy.float32(0.1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 5e-324, 1.7976931348623157e308, -0.0, 1e22, 3])
def test_floats_keep_every_bit(name: str, value: float) -> None:
    layout = shmctl.Struct("double d;")
    with shmctl.create(name, size=8) as box:
        layout.write(box, d=value)
        assert layout.get(box, "d").hex() == float(value).hex()


@pytest.mark.parametrize(
    "values",
    [
        {"nothing": 1},
        {"small": [1, 2]},
        {"small": [1, 2, 3, 4]},
        {"small": 5},
        {"small[3]": 5},
        {"small[0]": 40000},
        {"small[0]": "3"},
        {"small[0]": 1.5},
        {"small[0]": None},
        {"tag": "AB"},
        {"tag": "€"},
        {"tag": 3},
        {"flag": 256},
        {"low": 8},
        {"sign": 8},
        {"color": "BLUE"},
        {"real": "1.0"},
        {"real": [1.0]},
        {"single": 1e300},
        {"note": "far too long"},
        {"note": 3},
        {"points": {"x": 1}},
        {"points": [{"x": 1, "z": 2}, {}]},
        {"points": [1, 2, 3, 4]},
        {"matrix": [1, 2, 3, 4, 5, 6]},
        {"matrix": [[1, 2], [3, 4]]},
        {"big": -1},
        {"pointer": 2**64},
        {"": 1},
    ],
    ids=str,
)
def test_what_a_field_cannot_hold_stores_nothing(
    name: str, layout: shmctl.Struct, values: dict[str, object]
) -> None:
    with shmctl.create(name, size=layout.size) as box:
        with pytest.raises(ValueError):
            layout.write(box, {"real": 1.0, **values})
        assert box.read() == bytes(layout.size)


def test_an_object_too_small_is_an_error(name: str, layout: shmctl.Struct) -> None:
    with shmctl.create(name, size=layout.size - 1) as box:
        with pytest.raises(shmctl.ShmError):
            layout.read(box)
        with pytest.raises(shmctl.ShmError):
            layout.write(box, VALUES)
        assert layout.get(box, "tag") == "\0"
        for call in (layout.read, layout.write, lambda box, offset: layout.get(box, "tag", offset=offset)):
            with pytest.raises(ValueError, match="offset"):
                call(box, offset=-1)
    assert path_of(name).read_bytes() == bytes(layout.size - 1)


def test_paths_that_lead_to_no_single_value(name: str, layout: shmctl.Struct) -> None:
    with shmctl.create(name, size=layout.size) as box:
        for path in ("points", "matrix[0]", "points[0]", "nothing", "points[2].x"):
            with pytest.raises(ValueError):
                layout.get(box, path)


def test_a_header(name: str, tmp_path: Path) -> None:
    header = tmp_path / "box.h"
    header.write_text("struct box { int value; double half; };\n")
    layout = shmctl.Struct("struct box", header=header)
    assert (layout.name, layout.size, layout.alignment) == ("struct box", 16, 8)
    with pytest.raises(FileNotFoundError):
        shmctl.Struct("struct box", header=tmp_path / "missing.h")
    with pytest.raises(ValueError, match="declared, and not defined"):
        shmctl.Struct("struct other", header=header)
    with pytest.raises(ValueError, match="declaration:1: not understood"):
        shmctl.Struct("int x y;")


def test_types_whose_bytes_mean_nothing_are_bytes(name: str) -> None:
    layout = shmctl.Struct("int x; sem_t sem;")
    with shmctl.create(name, size=layout.size) as box:
        assert layout.read(box) == {"x": 0, "sem": bytes(32)}
        with pytest.raises(ValueError):
            layout.write(box, sem=bytes(31))
        layout.write(box, sem=bytes([7] * 32))
        assert layout.read(box) == {"x": 0, "sem": bytes([7] * 32)}
