"""Layouts out of ELF files, as many compilers and linkers make them."""

import random
import struct
import subprocess
import time
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from shmctl.core.errors import FileError, InputError
from shmctl.core.layouts.elf import Elf
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.load import load_elf
from shmctl.core.layouts.lookup import Library, parse_wanted

SOURCE = """
#include <stdint.h>
#include <pthread.h>
#include <semaphore.h>
struct in { int y; unsigned a:3, b:7; char s[8]; };
typedef struct {
    struct in in[3]; pthread_mutex_t m; sem_t sem; long double ld; union { int i; float fl; };
    enum { RED = 1, GREEN = 2, BLUE = -1 } c; _Bool ok; void (*f)(int); const char *p;
    _Alignas(64) uint64_t head; uint64_t tail; int grid[2][3]; char flexible[];
} shared;
struct node { struct node *next; int value; };
struct later;
shared *g; struct node n; struct later *l;
int main(void) { return g != 0; }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("dwarf")
    (folder / "t.c").write_text(SOURCE)
    return folder


def build(folder: Path, *command: str) -> Path:
    """The output ``o`` of a command in the folder."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "o"


def fields(path: Path, name: str = "shared") -> list[Any]:
    layout = load_elf(str(path), name)
    return [layout.size, *(field[:6] for field in layout.fields())]


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[Any]:
    (folder / "size.c").write_text(
        SOURCE.replace("int main(void) { return g != 0; }", "") + "#include <stdio.h>\n#include <stddef.h>\n"
        'int main(void) { printf("%zu %zu %zu %zu %zu", sizeof(shared), offsetof(shared, m), '
        "offsetof(shared, head), offsetof(shared, grid), offsetof(shared, in[2].s)); }"
    )
    subprocess.run(["gcc", "-o", "size", "size.c"], cwd=folder, check=True)
    said = subprocess.run([folder / "size"], capture_output=True, text=True, check=True).stdout
    size, mutex, head, grid, text = map(int, said.split())
    found = fields(build(folder, "gcc", "-g", "t.c", "-o", "o"))
    places = {field[0]: field[2] for field in found[1:]}
    assert (found[0], places["m"], places["head"]) == (size, mutex, head)
    assert (places["grid[0][0]"], places["in[2].s"]) == (grid, text)
    return found


GCC = [
    *(f"-gdwarf-{version}" for version in (2, 3, 4, 5)),
    *(f"-gdwarf-{version} -gstrict-dwarf" for version in (2, 3, 4, 5)),
    "-g -c", "-g -gz", "-g -gz -c", "-g -gz=zlib-gnu", "-g -gdwarf64", "-g -O2", "-g -fdebug-types-section",
    "-g -c -fdebug-types-section", "-gdwarf-4 -fdebug-types-section", "-g -flto",
    "-g -flto -ffat-lto-objects -c",
]  # fmt: skip
CLANG = ["-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-g -c", "-g -O2", "-g -gz"]


@pytest.mark.parametrize("options", GCC)
def test_gcc(folder: Path, expected: list[Any], options: str) -> None:
    assert fields(build(folder, "gcc", *options.split(), "t.c", "-o", "o")) == expected


@pytest.mark.parametrize("options", CLANG)
def test_clang(folder: Path, expected: list[Any], options: str) -> None:
    assert fields(build(folder, "clang", *options.split(), "t.c", "-o", "o")) == expected


def test_information_that_was_split_off(folder: Path, expected: list[Any]) -> None:
    build(folder, "gcc", "-g", "-gsplit-dwarf", "-c", "t.c", "-o", "o")
    with pytest.raises(InputError) as caught:
        load_elf(str(folder / "o"), "shared")
    assert caught.value.hint == "its types are split off, into o.dwo and the like: --elf takes such a file"
    assert fields(folder / "o.dwo") == expected


def test_a_separate_file(folder: Path, expected: list[Any]) -> None:
    build(folder, "gcc", "-g", "t.c", "-o", "o")
    for command in (
        "objcopy --only-keep-debug o o.debug",
        "strip -g o",
        "objcopy --add-gnu-debuglink=o.debug o",
    ):
        subprocess.run(command.split(), cwd=folder, check=True)
    assert fields(folder / "o") == expected
    with (folder / "o.debug").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="no debugging information"):
        load_elf(str(folder / "o"), "shared")


def test_dwz(folder: Path, expected: list[Any]) -> None:
    for name in ("one", "two"):
        subprocess.run(["gcc", "-g", "t.c", "-o", name], cwd=folder, check=True)
    subprocess.run(["dwz", "-m", "common", "one", "two"], cwd=folder, check=True)
    assert fields(folder / "one") == expected
    (folder / "common").unlink()
    with pytest.raises(InputError) as caught:
        load_elf(str(folder / "one"), "shared")
    assert "common" in str(caught.value) + (caught.value.hint or "") and "missing" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("sharde", "no type is called sharde", "near names: shared"),
        ("struct shared", "no type is called struct shared", "near names: shared"),
        ("struct later", "no type is called struct later", None),
        ("", "the name of a type is missing", None),
        ("x\x1b", r"no type is called x\\x1b", None),
    ],
)
def test_not_there(folder: Path, expected: list[Any], name: str, message: str, hint: str | None) -> None:
    path = build(folder, "gcc", "-g", "t.c", "-o", "o")
    with pytest.raises(InputError, match=message) as caught:
        load_elf(str(path), name)
    assert hint is None or hint in (caught.value.hint or "")


def test_no_elf_and_no_information(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not an ELF file"):
        load_elf(str(folder / "t.c"), "shared")
    with pytest.raises(InputError, match="no debugging information") as caught:
        load_elf(str(build(folder, "gcc", "t.c", "-o", "o")), "shared")
    assert "compile it with -g" in (caught.value.hint or "")
    with pytest.raises(InputError, match="no debugging information") as caught:
        load_elf(str(build(folder, "gcc", "-g", "-flto", "-c", "t.c", "-o", "o")), "shared")
    assert "-flto" in (caught.value.hint or "")
    with pytest.raises(FileError):
        load_elf(str(tmp_path / "nothing"), "shared")
    with pytest.raises(InputError, match="not a regular file"):
        load_elf("/dev/null", "shared")


def test_types_of_one_name_that_differ(tmp_path: Path) -> None:
    same = "struct same { int q; }"
    (tmp_path / "a.c").write_text(f"struct s {{ int x; }} a; {same} aa; int main(void) {{ return a.x; }}\n")
    (tmp_path / "b.c").write_text(f"\nstruct s {{ int x; char y; }} b; {same} bb;\n")
    subprocess.run(["gcc", "-g", "a.c", "b.c", "-o", "o"], cwd=tmp_path, check=True)
    path = str(tmp_path / "o")
    with pytest.raises(InputError, match=r"several types are called s, and differ: a\.c:1, b\.c:2") as caught:
        load_elf(path, "s")
    assert caught.value.hint == "'a.c:1:s' picks one"
    assert load_elf(path, "a.c:1:s").size == 4
    assert load_elf(path, "b.c:struct s").size == 8
    assert load_elf(path, "same").size == 4


def test_names_as_they_are_asked_for() -> None:
    assert parse_wanted("a.c:ns::T")[2:] == (("ns",), "T", "a.c", 0)
    assert parse_wanted("ns::Box<a::b, 3>")[2:4] == (("ns",), "Box<a::b, 3>")
    assert parse_wanted("dir/a.c:7:struct s")[3:] == ("s", "dir/a.c", 7)


CPP = """
#include <array>
#include <atomic>
#include <mutex>
#include <cstdint>
namespace a { inline namespace v1 { struct S { int x; static int y; enum In { P, Q } in; }; } }
namespace a { namespace { struct Hidden { char c; }; } }
namespace b { struct S { long x; }; }
template<class T, int N> struct Buf { T d[N]; unsigned n; };
struct A { int id; }; struct B { char id; short k; }; struct D : A, B { int own; };
struct Bits { unsigned a:3; unsigned :5; bool b:1; long long c:40; };
struct V : virtual A { int z; }; struct Poly { virtual ~Poly() {} int x; };
enum class E : uint8_t { One = 1, Two };
struct alignas(64) Q { std::atomic<uint64_t> head; std::array<int, 3> a; std::mutex m; E e; };
int a::S::y; a::S s1; b::S s2; Buf<short, 4> bb; D d; a::Hidden h; Bits bi; V v; Poly p; Q q;
int main() { struct Local { int q; } l{1}; return l.q + v.z + h.c; }
"""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_cpp(tmp_path: Path, compiler: str) -> None:
    (tmp_path / "t.cc").write_text(CPP)
    complete = ["-fstandalone-debug"] if compiler == "clang++" else []
    subprocess.run([compiler, "-std=c++17", "-g", *complete, "t.cc", "-o", "o"], cwd=tmp_path, check=True)
    path = str(tmp_path / "o")

    def places(name: str) -> dict[str, tuple[int, int]]:
        return {field.path: (field.offset, field.size) for field in load_elf(path, name).fields()}

    assert places("a::S") == {"x": (0, 4), "in": (4, 4)} == places("a::v1::S")
    assert places("b::S") == {"x": (0, 8)}
    with pytest.raises(InputError, match="several types are called S"):
        load_elf(path, "S")
    assert places("a::Hidden") == {"c": (0, 1)}
    buffer = "Buf<short, 4>" if compiler == "clang++" else "Buf<short int, 4>"
    assert places(buffer)["n"] == (8, 4)
    assert places("D") == {"id": (0, 4), "B.id": (4, 1), "B.k": (6, 2), "own": (8, 4)}
    bits = {f.path: (f.offset * 8 + (f.bit_shift or 0), f.bit_width) for f in load_elf(path, "Bits").fields()}
    assert bits == {"a": (0, 3), "b": (8, 1), "c": (9, 40)}
    with pytest.raises(InputError, match="virtual base class"):
        load_elf(path, "V")
    assert places("Poly")["x"] == (8, 4)
    q = load_elf(path, "Q")
    assert (q.size, q.alignment) == (128, 64)
    assert places("Q") == {
        "head": (0, 8),
        "a[0]": (8, 4),
        "a[1]": (12, 4),
        "a[2]": (16, 4),
        "m": (24, 40),
        "e": (64, 1),
    }
    assert next(q.each("m")).type.lock == "pthread_mutex_t"
    assert next(q.each("e")).labels == {"One": 1, "Two": 2}
    assert places("Local") == {"q": (0, 4)}


FORTRAN = """
module shared
 type :: plain
  integer(2) :: a
  real(8) :: x(3)
  character(len=8) :: name
 end type
 type :: columns
  real :: m(2,3)
 end type
 type :: far
  real, allocatable :: a(:)
 end type
 type(plain) :: p
 type(columns) :: c
 type(far) :: f
end module
program t
 use shared
 p%a = 1
 c%m = 0
 allocate(f%a(3))
 print *, p%a, c%m, f%a
end program
"""


def test_fortran(tmp_path: Path) -> None:
    (tmp_path / "t.f90").write_text(FORTRAN)
    subprocess.run(["gfortran", "-g", "t.f90", "-o", "o"], cwd=tmp_path, check=True)
    layout = load_elf(str(tmp_path / "o"), "plain")
    assert [(f.path, f.offset, f.size) for f in layout.fields()] == [
        ("a", 0, 2), ("x[0]", 8, 8), ("x[1]", 16, 8), ("x[2]", 24, 8), ("name", 32, 8),
    ]  # fmt: skip
    for name, message in (("columns", "stored by columns"), ("far", "allocated elsewhere")):
        with pytest.raises(InputError, match=message):
            load_elf(str(tmp_path / "o"), name)


def test_rust(tmp_path: Path) -> None:
    """rust.s is what rustc makes of the lines at its top."""
    source = Path(__file__).with_name("rust.s")
    path = str(tmp_path / "o")
    command = ["clang", "--target=x86_64-linux-gnu", "-c", str(source), "-o", path]
    subprocess.run(command, check=True)
    layout = load_elf(path, "shared::Whole")
    assert (layout.size, layout.alignment) == (88, 8)
    assert [(f.path, f.offset, f.size, f.type.kind) for f in islice(layout.fields(), 14)] == [
        ("order.tag", 0, 1, "uint"), ("order.wide", 8, 8, "uint"), ("order.ready", 16, 4, "uint"),
        ("loose.a", 30, 1, "uint"), ("loose.b", 24, 4, "uint"), ("loose.c", 28, 2, "uint"),
        ("packed.a", 32, 1, "uint"), ("packed.b", 33, 4, "uint"),
        ("pair.__0", 48, 2, "uint"), ("pair.__1", 40, 8, "int"), ("colour", 56, 1, "uint"),
        ("either.bits", 60, 4, "uint"), ("either.value", 60, 4, "float"), ("ok", 64, 1, "bool"),
    ]  # fmt: skip
    assert load_elf(path, "Colour").select("value")[0].labels == {"Red": 1, "Blue": 4}
    with pytest.raises(InputError, match="an enum with data, or a variant"):
        load_elf(path, "Message")


def test_another_word_size(tmp_path: Path) -> None:
    (tmp_path / "t.c").write_text("struct s { int a; long long b; unsigned c:3, d:5; } s;\n")
    subprocess.run(["gcc", "-m32", "-g", "-c", "t.c", "-o", "o"], cwd=tmp_path, check=True)
    layout = load_elf(str(tmp_path / "o"), "s")
    assert (layout.size, layout.alignment) == (16, 4), "i386 aligns long long at 4 bytes"
    assert next(layout.each("b")).offset == 4


def test_damaged_files_end_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    """Whatever stands in the file, it takes no time, and no error is any other."""
    path = build(folder, "gcc", "-g", "t.c", "-o", "o")
    data = path.read_bytes()
    with Elf(str(path)) as elf:
        parts = [
            (part.offset, part.size) for part in elf.sections if b"debug" in part.name and part.type != 8
        ]
    chance = random.Random(7)
    outcomes = set[str]()
    start = time.process_time()
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 5, 20])):
            offset, size = chance.choice([*parts, (0, 64), (0, len(data))])
            damaged[offset + chance.randrange(size)] = chance.choice([0, 255, chance.randrange(256)])
        if chance.random() < 0.1:
            del damaged[chance.randrange(len(damaged)) :]
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            with Library(str(tmp_path / "damaged")) as library:
                type_ = library.find(chance.choice(["shared", "node", "pthread_mutex_t", "nothing"])).type
                list(islice(Layout(type_, "t", "").fields(), 1000))
                list(islice(library.names(), 100))
            outcomes.add("found")
        except InputError as error:
            assert str(error).isprintable()
            outcomes.add("refused")
    assert outcomes == {"found", "refused"}
    assert time.process_time() - start < 20


def test_a_section_that_would_fill_the_memory(folder: Path, tmp_path: Path) -> None:
    path = build(folder, "gcc", "-g", "-gz", "t.c", "-o", "o")
    data = bytearray(path.read_bytes())
    with Elf(str(path)) as elf:
        section = elf.sections[elf.find(b".debug_info") or 0]
    data[section.offset + 8 : section.offset + 16] = (1 << 40).to_bytes(8, "little")
    (tmp_path / "bomb").write_bytes(data)
    with pytest.raises(InputError, match="a section of 1099511627776 bytes is not read"):
        load_elf(str(tmp_path / "bomb"), "shared")


def test_one_name_very_often_ends_soon(tmp_path: Path) -> None:
    abbreviations = bytes([1, 0x11, 1, 0, 0, 2, 0x13, 0, 0x03, 0x08, 0, 0, 0])
    entries = bytes([1]) + b"\x02a\0" * 400_000 + b"\0"
    unit = struct.pack("<HIB", 4, 0, 8) + entries
    (tmp_path / "info").write_bytes(struct.pack("<I", len(unit)) + unit)
    (tmp_path / "abbrev").write_bytes(abbreviations)
    (tmp_path / "t.c").write_text("int x;\n")
    subprocess.run(["gcc", "-c", "t.c", "-o", "t.o"], cwd=tmp_path, check=True)
    add = ["--add-section", ".debug_info=info", "--add-section", ".debug_abbrev=abbrev"]
    subprocess.run(["objcopy", *add, "t.o", "o"], cwd=tmp_path, check=True)
    start = time.process_time()
    with pytest.raises(InputError, match="struct a is declared in this file"):
        load_elf(str(tmp_path / "o"), "a")
    assert time.process_time() - start < 10


def test_a_name_that_the_linker_keeps_as_the_end_of_one_of_many(tmp_path: Path) -> None:
    others = "".join(f"struct of_{number}_ring {{ int x; }} v{number};\n" for number in range(30))
    (tmp_path / "t.c").write_text(
        f"{others} struct ring {{ long head, tail; }} r; int main(void) {{ return 0; }}\n"
    )
    path = build(tmp_path, "gcc", "-g", "t.c", "-o", "o")
    assert b"\0ring\0" not in path.read_bytes()
    assert load_elf(str(path), "struct ring").size == 16


def test_a_large_library_is_not_read_through() -> None:
    """Debian's debug build of Python: 25 MB, with the same types in each of its units."""
    (path,) = Path("/usr/lib").glob("*/libpython3*d.so.1.0")
    assert path.stat().st_size > 20 << 20
    start = time.process_time()
    assert load_elf(str(path), "PyTypeObject").size > 400
    with pytest.raises(InputError) as caught:
        load_elf(str(path), "PyTypeObjekt")
    assert "PyTypeObject" in (caught.value.hint or "")
    assert time.process_time() - start < 3
