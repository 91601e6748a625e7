import json
import os
import platform
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmctl.core.errors import InputError
from shmctl.core.layouts.compiler import Options, load_header
from shmctl.core.layouts.csource import HEADER_MAX
from shmctl.core.layouts.declarations import from_declaration as parse
from shmctl.core.layouts.declarations import from_header as parse_header
from shmctl.core.layouts.fields import Field
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.load import read_header
from shmctl.core.layouts.lookup import Library
from shmctl.core.layouts.values import to_text
from shmctl.core.models import Store

HEADERS = """
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <uchar.h>
"""


Case = tuple[str, str, str]
"""A text for shmctl, declarations for gcc, and the name of the type there."""


def compiled(tmp_path: Path, program: str) -> str:
    """What the program prints, compiled with gcc."""
    source = tmp_path / "layout.c"
    source.write_text(HEADERS + program)
    subprocess.run(["gcc", "-w", "-g", "-O0", "-o", tmp_path / "layout", source], check=True)
    return subprocess.run([tmp_path / "layout"], capture_output=True, text=True, check=True).stdout


def probe(number: int, declarations: str, type_name: str, layout: Layout) -> str:
    """A C function that prints what gcc makes of a layout, one line a field."""
    lines = [f'printf("%zu %zu\\n", sizeof(T{number}), _Alignof(T{number}));']
    for leaf in layout.fields():
        if leaf.bit_width is None:
            size = f"sizeof(object.{leaf.path})"
            lines.append(f'printf("%zu %zu\\n", offsetof(T{number}, {leaf.path}), {size});')
        else:
            lines.append(
                f"memset(&object, 0, sizeof object); object.{leaf.path} = -1; dump(&object, sizeof object);"
            )
    body = "\n".join(lines)
    opening = f"static void f{number}(void) {{\n{declarations}\n"
    return f"{opening}typedef {type_name} T{number}; T{number} object;\n{body} }}\n"


DUMP = """
static void dump(const void *data, size_t size) {
    for (size_t i = 0; i < size; i++) printf("%02x", ((const unsigned char *)data)[i]);
    printf("\\n");
}
"""


def expected(layout: Layout) -> list[str]:
    """The same lines from a Layout."""
    lines = [f"{layout.size} {layout.alignment}"]
    for leaf in layout.fields():
        if leaf.bit_width is None:
            lines.append(f"{leaf.offset} {leaf.size}")
            continue
        assert leaf.bit_shift is not None
        bits = ((1 << leaf.bit_width) - 1) << (leaf.offset * 8 + leaf.bit_shift)
        lines.append(bits.to_bytes(layout.size, "little").hex())
    return lines


def assert_same_as_gcc(tmp_path: Path, cases: list[Case]) -> None:
    """Compare each (text for shmctl, declarations, type name) with gcc, all in one program."""
    layouts = [parse(text) for text, _, _ in cases]
    program = DUMP
    for number, ((_, declarations, name), layout) in enumerate(zip(cases, layouts, strict=True)):
        program += probe(number, declarations, name, layout)
    calls = "".join(f'f{number}(); puts("--");' for number in range(len(cases)))
    printed = compiled(tmp_path, program + f"int main(void) {{ {calls} }}").split("--\n")
    for case, layout, lines in zip(cases, layouts, printed, strict=False):
        assert lines.splitlines() == expected(layout), case[0]


def inline(text: str) -> Case:
    """A case of members alone."""
    return text, "", f"struct {{ {text} ; }}"


def definition(text: str, name: str) -> Case:
    """A case of a whole definition."""
    return text, f"{text};", name


POSIX = """
pid_t uid_t gid_t id_t mode_t off_t time_t dev_t ino_t blkcnt_t clock_t clockid_t timer_t
suseconds_t useconds_t key_t socklen_t in_port_t in_addr_t sa_family_t sig_atomic_t char16_t
char32_t wint_t wchar_t u_char u_short u_int u_long u_int8_t u_int16_t u_int32_t u_int64_t ushort
uint ulong atomic_bool atomic_char atomic_schar atomic_uchar atomic_short atomic_ushort atomic_int
atomic_uint atomic_long atomic_ulong atomic_llong atomic_ullong atomic_size_t atomic_ptrdiff_t
atomic_intptr_t atomic_uintptr_t atomic_intmax_t atomic_uintmax_t atomic_flag atomic_char16_t
atomic_char32_t pthread_t pthread_key_t pthread_once_t pthread_spinlock_t sem_t pthread_mutex_t
pthread_cond_t pthread_rwlock_t pthread_barrier_t pthread_attr_t pthread_mutexattr_t
pthread_condattr_t pthread_rwlockattr_t pthread_barrierattr_t sigset_t size_t ssize_t ptrdiff_t
intptr_t uintptr_t intmax_t uintmax_t bool int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t
uint64_t int_fast8_t int_fast16_t int_fast32_t int_fast64_t uint_fast8_t uint_fast16_t uint_fast32_t
uint_fast64_t int_least8_t uint_least64_t
"""


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="sizes of sem_t are not known here"
)
def test_posix_types_are_glibcs(tmp_path: Path) -> None:
    cases = [inline(f"char before; {name} x; char after") for name in POSIX.split()]
    cases += [
        inline(f"char before; struct {tag} x; char after")
        for tag in ("timespec", "timeval", "timezone", "in_addr")
    ]
    # the parts of an opaque type are glibc's own: only its place is compared
    assert_same_as_gcc(tmp_path, cases)


def test_declarations_are_laid_out_as_gcc_does(tmp_path: Path) -> None:
    assert_same_as_gcc(
        tmp_path,
        [
            inline("int var1; int var2"),
            inline("char a; int b; short c; double d; char e;"),
            inline("struct point {int x; int y;} p; char c"),
            inline("char c; struct {char a; union {long l; char s[12];} u;} in[3]; float f"),
            inline("int kind; union {int i; double d;}; char end"),
            inline("struct {int a; struct {char b; int c;};}; short d"),
            inline("enum color {RED, GREEN} c; enum {A = -1} d; enum {B = 0x100000000} e; char f"),
            inline(
                "int grid[2][3]; char names[3][5]; char s[7]; char *p[2]; void (*f)(int, char *); int (*m)[4]"
            ),
            inline(
                "int a : 3; unsigned b : 5; int : 0; unsigned char c : 2; long d : 40; _Bool e : 1; int f"
            ),
            inline("char a; int : 5; int b : 20; short c : 9; unsigned long long d : 63; int : 2"),
            inline("unsigned a : 31; unsigned b : 2; char c; unsigned d : 8"),
            inline("_Atomic int x; _Atomic(char) y; volatile const long z; const short *const w"),
            inline("long double ld; char c; float _Complex fc; double _Complex dc; char e"),
            inline(
                "int unsigned a; long int unsigned b; long long signed int c; short int unsigned d; signed e"
            ),
            inline("int n; char data[]"),
            inline("char c; int (*array)[4]; char d; int *(*function)(struct nope *, ...)"),
            definition("struct s {int x; struct u {int y;}; enum e {A}; char z;}", "struct s"),
            inline("char c; double d[0]; char e"),
            inline("int a[sizeof(long) * 2]; char b[~0u >> 28]; char c[(1 ? 2 : 3) + (5 / 2 % 3)]"),
            inline("char d[-1 < 1u ? 4 : 6]; char e[-7 / 2 + 9]; char f[-7 % 4 + 9]; char g[-1 > 0ul]"),
            inline("char a['\\n']; char b[0x10 | 3 ^ 1]; char c[!0 + 2]; char d[010]; char e[07L << 1]"),
            definition("struct node {int v; struct node *next; char c;}", "struct node"),
            definition("union u {char c[5]; int i; struct {short s; long l;} in;}", "union u"),
            definition("struct __attribute__((packed)) s {char a; int b; double c; char d;}", "struct s"),
            definition(
                "typedef struct {char a; struct {char q; long l;} in; int b;} __attribute__((__packed__)) t",
                "t",
            ),
            definition("struct in {char q; long l;}; struct s {char a; struct in in; int b;}", "struct s"),
            definition(
                "enum e {ONE = 1, FOUR = ONE << 2}; typedef struct {enum e e; int a[FOUR];} t, *tp", "t"
            ),
            definition("typedef int word; typedef word pair[2]; typedef struct {char c; pair p[2];} t", "t"),
            definition("struct a {struct b {struct a *p; int z;} b; char q;}", "struct a"),
            definition(
                "#pragma pack(push, 2)\nstruct a {char c; long l;};\n#pragma pack(pop)\n"
                "struct b {char c; struct a a; long l;}",
                "struct b",
            ),
            definition(
                "#pragma pack(1)\nstruct a {char c; long l; struct {short s; int i;} in;};\n"
                "#pragma pack()\nstruct b {char c; struct a a[2]; long l;}",
                "struct b",
            ),
            definition(
                "struct s {char a; union __attribute__((packed)) {int i; char c;} u; short b;}", "struct s"
            ),
        ],
    )


INTEGER_TYPES = [
    "char",
    "signed char",
    "unsigned char",
    "short",
    "unsigned short",
    "int",
    "unsigned",
    "long",
    "unsigned long",
    "long long",
    "uint8_t",
    "int16_t",
    "uint64_t",
    "size_t",
    "_Bool",
]
OTHER_TYPES = ["float", "double", "long double", "void *", "struct other *", "pid_t", "bool"]


class Author:
    """Writes random members; names are unique, as C wants them among anonymous structures."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"m{self.count}"

    def members(self, depth: int, bits: bool = True) -> str:
        return " ".join(self.member(depth, bits) for _ in range(self.random.randint(1, 6)))

    def member(self, depth: int, bits: bool) -> str:
        choice = self.random.random()
        if choice < 0.2 and depth:
            return self.nested(depth)
        if choice < 0.45 and bits:
            return self.bit_field()
        dims = "".join(
            f"[{self.random.randint(1, 3)}]" for _ in range(self.random.choice([0, 0, 0, 1, 1, 2]))
        )
        kind = self.random.choice(INTEGER_TYPES + OTHER_TYPES)
        if self.random.random() < 0.08:
            value = self.random.choice([0, -1, 1 << 40])
            return f"enum {{ {self.name()}_A = {value} }} {self.name()}{dims};"
        aligned = self.random.choice(
            ["", "", "", "", "__attribute__((aligned(16)))", "__attribute__((packed))"]
        )
        return f"{kind} {self.name()}{dims} {aligned};"

    def bit_field(self) -> str:
        kind = self.random.choice(INTEGER_TYPES)
        widths = {
            "_Bool": 1,
            "char": 8,
            "short": 16,
            "uint8": 8,
            "int16": 16,
            "long": 64,
            "uint64": 64,
            "size": 64,
        }
        limit = next((w for word, w in widths.items() if word in kind), 32)
        if self.random.random() < 0.2:
            return f"{kind} : {self.random.randint(0, limit)};"
        return f"{kind} {self.name()} : {self.random.randint(1, limit)};"

    def nested(self, depth: int) -> str:
        kind = self.random.choice(["struct", "union"])
        packed = self.random.choice(["", "", "__attribute__((packed))"])
        # two names, so that no structure is left without a named member
        body = f"char {self.name()}; {self.members(depth - 1)}"
        if not packed and self.random.random() < 0.2:
            packed = "__attribute__((aligned(32)))"
        declarator = self.random.choice(["", self.name(), f"{self.name()}[2]"])
        return f"{kind} {packed} {{ {body} }} {declarator};"


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
@pytest.mark.long
def test_random_declarations_are_laid_out_as_gcc_does(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    author = Author(seed)
    cases = [inline(f"int {author.name()}; {author.members(3)}") for _ in range(60)]
    folder = tmp_path_factory.mktemp("random")
    assert_same_as_gcc(folder, cases)
    types = "".join(f"typedef {case[2]} T{number};\n" for number, case in enumerate(cases))
    header = folder / "random.h"
    header.write_text(HEADERS + types)
    with Library(str(folder / "layout")) as program:
        for number, (text, _, _) in enumerate(cases):
            own = places(parse(text))
            assert places(Layout(program.find(f"T{number}").type, "", "")) == own, text
            if number % 20 == 0:
                assert places(load_header(str(header), f"T{number}", Options(), ["gcc"])) == own, text


def places(layout: Layout) -> list[Any]:
    """Where each field stands; an alignment that only the declaration tells is not in DWARF."""
    fields = ((f.path, f.offset, f.size, f.bit_shift, f.bit_width, f.type.kind) for f in layout.fields())
    return [layout.size, *fields]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_what_is_stored_is_read_again_and_nothing_else_changes(seed: int, data: st.DataObject) -> None:
    author = Author(seed)
    layout = parse(f"char {author.name()}[9]; int {author.name()}; {author.members(2)}")
    leaves = [leaf for leaf in layout.fields() if leaf.type.kind != "longdouble"]
    leaf = data.draw(st.sampled_from(leaves))
    before = data.draw(st.binary(min_size=layout.size, max_size=layout.size))
    text = to_text(layout.read(data.draw(st.binary(min_size=layout.size, max_size=layout.size)), leaf))
    if leaf.type.kind == "text":
        text = "plain"[: leaf.size]
    loads = []

    def load(offset: int, length: int) -> bytes:
        loads.append((offset, length))
        return before[offset : offset + length]

    (store,) = layout.stores([f"{leaf.path}={text}"], load)
    after = before[: store.offset] + store.data + before[store.offset + len(store.data) :]
    assert len(after) == layout.size
    assert to_text(layout.read(after, leaf)) == text
    own = int.from_bytes(b"\xff" * leaf.size, "little") << leaf.offset * 8
    if leaf.bit_width is not None:
        assert leaf.bit_shift is not None
        own = ((1 << leaf.bit_width) - 1) << leaf.bit_shift + leaf.offset * 8
        assert loads == [(leaf.offset, leaf.size)]
    else:
        assert not loads
    changed = int.from_bytes(before, "little") ^ int.from_bytes(after, "little")
    assert changed & ~own == 0


def written(layout: Layout, *assignments: str, data: bytes | None = None) -> bytes:
    """The structure's bytes after the stores."""
    memory = bytearray(layout.size if data is None else data)
    for store in layout.stores(assignments, lambda offset, length: bytes(memory[offset : offset + length])):
        memory[store.offset : store.offset + len(store.data)] = store.data
    return bytes(memory)


def shown(layout: Layout, data: bytes) -> dict[str, str]:
    return {leaf.path: to_text(layout.read(data, leaf)) for leaf in layout.fields()}


EVERYTHING = """enum color {RED, GREEN = 5};
enum color c; int a[2][2]; struct in {int x; unsigned b : 3; int d : 5; _Bool z : 1;} in; char s[8];
char n[2][4]; union {float f; unsigned bits;}; void *p; char ch; bool ok; enum color e : 4; struct in arr[2];
long double ld; sem_t sem; char tail[]"""


def test_each_kind_of_value_is_written_and_shown() -> None:
    layout = parse(EVERYTHING)
    data = written(
        layout,
        "c=GREEN",
        "a={1,2, 3,-4}",
        "in.b=7",
        "in.d=-16",
        "in.z=true",
        "s=héllo!!",
        "n[1]=ab",
        "n[0]=abcd",
        "f=0.1",
        "p=0x1234",
        r"ch=\n",
        "ok=1",
        "e=5",
        "arr[1].x=-0x10",
        "ld=-2.5",
        "s[0]=H",
    )
    values = shown(layout, data)
    assert values == {
        "c": "GREEN",
        "a[0][0]": "1",
        "a[0][1]": "2",
        "a[1][0]": "3",
        "a[1][1]": "-4",
        "in.x": "0",
        "in.b": "7",
        "in.d": "-16",
        "in.z": "true",
        "s": "Héllo!!",
        "n[0]": "abcd",
        "n[1]": "ab",
        "f": "0.1",
        "bits": "1036831949",
        "p": "0x1234",
        "ch": r"\n",
        "ok": "true",
        "e": "GREEN",
        "arr[0].x": "0",
        "arr[0].b": "0",
        "arr[0].d": "0",
        "arr[0].z": "false",
        "arr[1].x": "-16",
        "arr[1].b": "0",
        "arr[1].d": "0",
        "arr[1].z": "false",
        "ld": "-2.5",
        "sem": "value 0",
    }
    tree = layout.tree(data)
    assert json.loads(json.dumps(tree, allow_nan=False)) == {
        "c": 5,
        "a": [[1, 2], [3, -4]],
        "in": {"x": 0, "b": 7, "d": -16, "z": True},
        "s": "Héllo!!",
        "n": ["abcd", "ab"],
        "f": 0.1,
        "bits": 1036831949,
        "p": "0x1234",
        "ch": "\n",
        "ok": True,
        "e": 5,
        "arr": [{"x": 0, "b": 0, "d": 0, "z": False}, {"x": -16, "b": 0, "d": 0, "z": False}],
        "ld": -2.5,
        "sem": {"state": "taken", "value": 0, "waiters": 0, "bytes": "00" * 32},
        "tail": [],
    }


def test_fields_have_types_and_places() -> None:
    first, second, text = parse("unsigned u; int b : 3; char s[4]").fields()
    assert (first.path, first.ctype, first.offset, first.size) == ("u", "unsigned int", 0, 4)
    assert (first.bit_shift, first.bit_width) == (None, None)
    assert (second.path, second.ctype, second.offset, second.size) == ("b", "int", 4, 1)
    assert (second.bit_shift, second.bit_width) == (0, 3)
    assert (text.path, text.ctype, text.offset, text.size) == ("s", "char[4]", 5, 4)
    assert isinstance(first, Field)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("in", ["in.x", "in.b", "in.d", "in.z"]),
        ("in.d", ["in.d"]),
        ("a", ["a[0][0]", "a[0][1]", "a[1][0]", "a[1][1]"]),
        ("a[1]", ["a[1][0]", "a[1][1]"]),
        ("n", ["n[0]", "n[1]"]),
        ("s", ["s"]),
        ("s[2]", ["s[2]"]),
        ("arr[01].x", ["arr[1].x"]),
        ("tail", []),
    ],
)
def test_select(path: str, found: list[str]) -> None:
    layout = parse(EVERYTHING)
    assert [leaf.path for leaf in layout.select(path)] == found


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "name is empty"),
        ("zz", "no field is called zz"),
        ("in.q", "no field is called in.q"),
        ("in.x.y", "no field is called in.x.y"),
        ("sem.x", "no field is called sem.x"),
        ("a[2]", r"a\[2\] is out of range: a has 2 elements"),
        ("a[0][99999999999999999999999]", "out of range"),
        ("a[" + "9" * 5000 + "]", "out of range"),
        ("tail[0]", "has no elements"),
        ("in[0]", "in is not an array"),
        ("[0]", "is not an array"),
        *[
            (path, "is not the name of a field")
            for path in ("a[", "a[-1]", "a[x]", ".in", "in..x", "a[0]b", "in.", "é")
        ],
    ],
)
def test_select_refuses(path: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(EVERYTHING).select(path)
    assert str(caught.value).isprintable()


def test_select_names_near_fields() -> None:
    with pytest.raises(InputError) as caught:
        parse("int new_data; int value").select("newdata")
    assert caught.value.hint == "fields: new_data"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("in.b=8", r"in.b: 8 is out of range for unsigned int:3 \(0 to 7\)"),
        ("in.d=16", r"in.d: 16 is out of range for int:5 \(-16 to 15\)"),
        ("in.z=2", "in.z: 2 is not a bool"),
        (
            "a[0][0]=0x80000000",
            r"a\[0\]\[0\]: 0x80000000 is out of range for int \(-2147483648 to 2147483647\)",
        ),
        ("s=123456789", r"s: 123456789 takes 9 bytes, and char\[8\] holds 8"),
        ("s=\ud800", "s: .* is not text"),
        ("c=BLUE", "c: BLUE is no name of enum color"),
        ("c=99999999999", "out of range for enum color"),
        ("sem=1", "sem: a sem_t cannot be written"),
        ("in=3", "in is a struct: name a member"),
        ("a=1", "a is an array"),
        ("a={1}", "a has 4 elements and gets 1 value"),
        ("a={1,2,3,x}", r"a\[1\]\[1\]: x is not a whole number"),
        ("n={a,b}", "not an array of plain values"),
        ("arr={1,2}", "not an array of plain values"),
        ("f=1e39", "f: 1e39 is out of range for float"),
        ("p=-1", "p: -1 is out of range for void"),
        ("ch=ab", "ch: ab is not one character"),
        ("ok=yes", "ok: yes is not a bool"),
        ("ok", "ok is not FIELD=VALUE"),
        ("=1", "name is empty"),
        ("zz=1", "no field is called zz"),
    ],
)
def test_bad_values_are_refused_before_anything_is_loaded(assignment: str, message: str) -> None:
    def load(offset: int, length: int) -> bytes:
        raise AssertionError("nothing may be loaded")

    with pytest.raises(InputError, match=message) as caught:
        parse(EVERYTHING).stores(["in.b=1", assignment], load)
    assert str(caught.value).isprintable()


def test_bit_fields_that_share_a_byte_both_take_effect() -> None:
    layout = parse("unsigned a : 3; unsigned b : 7; unsigned c : 6")
    data = written(layout, "a=5", "b=127", "c=1", "b=2", data=b"\xff" * 4)
    assert shown(layout, data) == {"a": "5", "b": "2", "c": "1"}
    assert data[2:] == b"\xff\xff"


def test_stores_keep_the_given_order_and_touch_only_the_fields() -> None:
    layout = parse("int a; char s[4]; int b")
    assert layout.stores(["b=1", "s=xy", "a=2", "b=3"], lambda *_: b"") == [
        Store(8, b"\1\0\0\0"),
        Store(4, b"xy\0\0"),
        Store(0, b"\2\0\0\0"),
        Store(8, b"\3\0\0\0"),
    ]


def test_values_may_hold_equals_signs_and_be_empty() -> None:
    layout = parse("char s[8]")
    assert written(layout, "s=a=b")[:4] == b"a=b\0"
    assert written(layout, "s=", data=b"x" * 8) == bytes(8)


def test_text_that_is_not_utf_8_is_escaped() -> None:
    layout = parse("char s[6]")
    (leaf,) = layout.fields()
    assert to_text(layout.read(b"a\xff\x1b\nb\0", leaf)) == r"a\xff\x1b\nb"
    assert layout.read(b"abcdef", leaf) == "abcdef"
    assert written(layout, "s=\udcff\udcfe") == b"\xff\xfe\0\0\0\0"


def test_enum_names_that_share_a_number_both_work() -> None:
    layout = parse("enum {A, B = 0, C = -2} e")
    assert written(layout, "e=B") == bytes(4)
    assert shown(layout, written(layout, "e=C")) == {"e": "C"}
    assert shown(layout, written(layout, "e=9")) == {"e": "9"}


def test_shifts_of_signed_numbers_wrap_as_gcc_has_it(tmp_path: Path) -> None:
    constants = [
        "1 << 31",
        "3 << 31",
        "5 << 30",
        "-1 << 31",
        "1L << 63",
        "3L << 63",
        "(1 << 31) >> 31",
        "~(1 << 31)",
    ]
    prints = "".join(
        f'enum {{A{n} = {text}}} e{n} = A{n}; printf("%zu %lld\\n", sizeof e{n}, (long long)e{n});'
        for n, text in enumerate(constants)
    )
    found = []
    for text in constants:
        data = written(parse(f"enum {{A = {text}}} e"), "e=A")
        # An enumeration without negative numbers is unsigned; gcc's value prints the same while it is small.
        found.append(f"{len(data)} {int.from_bytes(data, sys.byteorder, signed=True)}")
    assert found == compiled(tmp_path, f"int main(void) {{ {prints} }}").splitlines()


def test_too_few_bytes_are_an_error() -> None:
    layout = parse("int a; int b")
    with pytest.raises(InputError, match="b ends at byte 8, and the data has 7 bytes"):
        layout.tree(bytes(7))


@pytest.mark.parametrize(
    ("text", "name", "paths"),
    [
        ("int a", "struct", ["a"]),
        ("int a;;", "struct", ["a"]),
        ("struct s {int a;}", "struct s", ["a"]),
        ("typedef struct {int a;} name", "name", ["a"]),
        ("typedef struct tag {int a;} name, *pointer;", "name", ["a"]),
        ("typedef struct tag *pointer, name; struct tag {int a;};", "struct tag", ["a"]),
        ("union {int a; char b;}", "union", ["a", "b"]),
        ("struct {int a;}; union {int b; char c;}", "struct", ["a", "b", "c"]),
        ("typedef int t; t a; t b", "struct", ["a", "b"]),
        ("struct s {int x;}; struct s a; int n", "struct", ["a.x", "n"]),
        ("struct s {int x;}; typedef struct s s_t; s_t a[2]", "struct", ["a[0].x", "a[1].x"]),
        ("#define N (1+1)\nint a[N]", "struct", ["a[0]", "a[1]"]),
        ("int a; /* int b; */ int c; // int d", "struct", ["a", "c"]),
        ("int a; struct in {int x;}; int b", "struct", ["a", "b"]),
        ("int size_t; pid_t pid_t; char time_t", "struct", ["size_t", "pid_t", "time_t"]),
        ("typedef short pid_t; pid_t a", "struct", ["a"]),
        ("char path[PATH_MAX]", "struct", ["path"]),
        ("int a; FILE *f", "struct", ["a", "f"]),
        ('_Static_assert(sizeof(int) == 4, "x"); int a', "struct", ["a"]),
        ('struct s {_Static_assert(1, "x"); int a;}', "struct s", ["a"]),
        ("typedef int t; typedef int t; t a", "struct", ["a"]),
        ("enum e {A, B,} a, b", "struct", ["a", "b"]),
        ("int a['\\t' - 'a' + 90]", "struct", ["a[0]", "a[1]"]),
        ("enum {A = 0xffffffff}; int a[A >> 31]", "struct", ["a[0]"]),
        ("enum {A = 0xffffffffffffffff}; int a[A >> 63]", "struct", ["a[0]"]),
        ("#pragma pack(1)\nstruct s {char a; int b;}", "struct s", ["a", "b"]),
        ("#pragma GCC diagnostic push\n#warning no\n#line 3\nint a", "struct", ["a"]),
    ],
)
def test_forms_of_a_declaration(text: str, name: str, paths: list[str]) -> None:
    layout = parse(text)
    assert (layout.name, [leaf.path for leaf in layout.fields()]) == (name, paths)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("#pragma pack(1)\nchar a; double b", 9),
        ("#pragma pack(push, 2)\nchar a; double b;\n#pragma pack(pop)", 10),
        ("#pragma pack(1)\nstruct in {char a; int b;};\n#pragma pack()\nstruct in x; double d", 16),
        ("#pragma pack(2)\n#pragma pack(1)\nstruct {char a; int b;}; struct {char c; double d;}", 14),
    ],
)
def test_pragma_pack_holds_for_members_inline(text: str, size: int) -> None:
    assert parse(text).size == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("#pragma pack(1)", "empty"),
        ("char a;\n#pragma pack(1)\nint b", "declaration:2: #pragma pack between members"),
        ("int a[sizeof 1]", "sizeof is understood of a type only"),
        ("int a[0x" + "f" * 80 + "]", "too large"),
        ("int a['\\q']", "not an integer constant"),
        ('int a["b"]', "not an integer constant"),
        ("int a[(1, 2)]", "not understood as a constant expression"),
        ("struct __attribute__((packed)) s; int a", "only where the type is defined"),
        ("int a __attribute__", "must be followed by"),
        ("enum e {A}; enum e {B}; enum e a", "enum e is defined twice"),
        ("#include nonsense\nint a", "declaration:1: #include nonsense is not understood"),
        (" \n ; ", "not understood|empty"),
        ("int a; foo_t b;\nint c", "declaration:1: unknown type foo_t"),
        ("int a;\nconst foo_t *b;", "declaration:2: unknown type foo_t"),
        ("int a;\n\nint b = 3", "declaration:3: not understood at ="),
        ("int a\nint b", "declaration:2: not understood at int"),
        ("#define N 3\nint a[N];\nint b[M]", "declaration:3: .*M is not a known constant"),
        ("int a;\nstatic int b", "declaration:2: not understood at static"),
        ("int a; /* open", "this comment has no end"),
        ("int a; }", "not understood at }"),
        ("struct s {int a;", "never closed"),
        ("int a[-1]", "cannot be -1"),
        ("int a[1/0]", "division by zero"),
        ("int a[1 << 99]", "undefined"),
        ("int a[2147483647 + 1]", "overflows"),
        ("int a[sizeof(struct nope)]", "without size"),
        ("int a[99999999999999999999]", "too large"),
        ("int a[4294967296][4294967296]", "cannot be laid out"),
        (
            "struct s {int x;};\ntypedef struct nope t[6]",
            "declaration:2: an array cannot be laid out: struct nope is not defined",
        ),
        ("int a; int a", "duplicate"),
        ("int a : 33", "the width of a cannot be 33: 1 to 32"),
        ("int a : 0", "cannot be 0"),
        ("float a : 3", "cannot be a bit-field"),
        ("struct s {}", "without a member"),
        ("struct s {int a[0];}", "without a member"),
        ("struct s {int : 3;}", "without a member"),
        ("int a; struct {} b", "without a member"),
        ("struct s {struct s a;}", "a cannot be laid out: struct s is not defined yet"),
        ("struct nope a", "a cannot be laid out: struct nope is not defined"),
        ("enum nope a", "enum nope is not defined"),
        ("int a; void b", "b cannot be laid out: it has no size"),
        ("char a[]; int b", "has to be the last member"),
        ("int f(void)", "f is a function"),
        ("struct s", "no complete type is called struct s"),
        ("int f(void);", "f is a function"),
        ("enum {A, A} e", "A is defined twice"),
        ("struct s {int a;}; struct s {int b;}; struct s c", "struct s is defined twice"),
        ("typedef int t; typedef long t; t a", "t is defined in two ways"),
        ("unsigned signed a", "not a type"),
        ("long float a", "not a type"),
        ("_Alignas(3) int a", "an alignment cannot be 3"),
        ("#pragma pack(1)\nstruct s {int a; _Alignas(8) int b;}", "aligned under #pragma pack"),
        ("int a : 3 __attribute__((aligned(8)))", "an aligned bit-field"),
        ("enum __attribute__((packed)) {A} e", "an enum that is packed"),
        ("enum {A} __attribute__((packed)) e", "an enum that is packed"),
        ("typedef int t[2] __attribute__((aligned(16)))", "packed is supported only"),
        ('struct __attribute__((scalar_storage_order("big-endian"))) {int a;} b', "is not supported"),
        ("int a __attribute__((vector_size(16)))", "vector_size.* is not supported"),
        ("int a __attribute__((mode(DI)))", "mode.* is not supported"),
        ("[[gnu::packed]] int a", "attributes are not supported"),
        ('_Pragma("pack(1)") int a', "unknown type _Pragma"),
        ("#pragma pack(3)\nint a", "is not understood"),
        ("#pragma pack(pop)\nint a", "no push"),
        ("struct s {\n#pragma pack(1)\nchar a; int b;}", "inside a structure"),
        ("#pragma scalar_storage_order big-endian\nint a", "may change the layout"),
        ("#pragma unheard of\nint a", "may change the layout"),
        ("_Atomic struct {char a[3];} b", "_Atomic struct"),
        ("typedef struct {char a[3];} t; _Atomic t b", "_Atomic struct"),
        ("typedef struct {char a[3];} t; _Atomic(t) b", "_Atomic struct"),
        ("enum e : short {A}; enum e a", "declaration"),
        ("_BitInt(7) a", "_BitInt is not supported"),
        ("typeof(int) a", "typeof is not supported"),
        ("#if\nint a\n#endif", "declaration:1: "),
        ("#if 1\nint a", "declaration:1: "),
        ("int a;\n#error stop", "declaration:2: #error stop"),
        ("int a;\n#nonsense", "declaration:2: unknown directive"),
        ('int a;\n#include "no-such-file.h"\n', "declaration:2: cannot read"),
        ("int a # b", "not understood"),
        ("...", "declaration"),
        ("int a; ...;", "declaration"),
        ("int a[...]", "declaration"),
        ("'", "declaration"),
        ("int é", "declaration"),
        ('#include "\udcff.h"\nint a', r"declaration:1: cannot read \S*\\xff\.h"),
        ("int a[sizeof(struct {foo_t x;})]", "declaration:1: .*foo_t"),
        ("int \0", "declaration"),
        ("int \x1b[31m", "declaration"),
        ("(" * 50000, r"not understood at \("),
        ("struct {" * 300 + "int a;" + "} x;" * 300, "deep"),
        ("int " + "*" * 50000 + "a", "more than 64 pointers"),
        ("int a" + "[1]" * 50000, "more than 64 pointers"),
    ],
)
def test_bad_declarations_are_input_errors(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 250


WORDS = [*"{}[]();,*:=ab30+", "int", "char", "struct", "union", "enum", "typedef", "unsigned", "..."]
WORDS += [
    "const",
    "_Atomic",
    "#define A 1\n",
    "\n#pragma pack(1)\n",
    "\n#if A\n",
    "\n#endif\n",
    "sizeof",
    "sem_t",
    "static",
]
WORDS += ["__attribute__((packed))", "void", '"s"', "'c'"]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=12))
def test_any_text_is_a_layout_or_an_input_error(text: str) -> None:
    try:
        layout = parse(text)
    except InputError as error:
        assert str(error).isprintable()
        return
    assert layout.size > 0 and layout.alignment > 0
    if layout.size < 10000:
        list(layout.fields())


HEADER = """/* A point, and
   what belongs to it. */
#ifndef POINT_H
#define POINT_H
#include <stdint.h>
#include "sizes.h"
#ifdef __cplusplus
extern "C" {
#endif
#define COUNT (SIDE * SIDE)   // from sizes.h
#define BYTES (SIDE * 4)
#define TWICE(n) ((n) * 2)
#define NOTHING
struct config;
extern int counter;
extern struct g {int q;} g_instance;
int use(struct config *c, int n) __attribute__((nonnull(1)));
static inline int twice(int x) { return x + x; }
enum mode { OFF, ON = COUNT };
typedef struct point {
    int grid[COUNT];
    char name[BYTES];
    enum mode mode;
    struct g g;
    uint64_t stamp;
} point_t, *point_p;
union either { int i; NOTHING float f; };
struct twice { int TWICE; char c[TWICE(2)]; };
struct once { int TWICE; };
struct packed { char c; int i; } TWICE(1);
typedef struct { char c; int i; } also TWICE(1);
typedef struct { char c; int i; } again __unheard;
typedef int number;
#if COUNT > 3 && defined(POINT_H)
struct chosen { int big; };
#else
struct chosen { not understood at all };
#endif
#ifdef __cplusplus
}
#endif
#endif
"""


@pytest.fixture
def header(tmp_path: Path) -> Path:
    path = tmp_path / "point.h"
    path.write_text(HEADER)
    (tmp_path / "sizes.h").write_text("#pragma once\n#define SIDE 2\n")
    return path


@pytest.mark.parametrize("name", ["point_t", "struct point", "point", " struct  point "])
def test_a_header_s_type_by_each_of_its_names(header: Path, name: str) -> None:
    layout = parse_header(HEADER, name, str(header))
    assert layout.size == 40
    assert [leaf.path for leaf in layout.fields()] == [
        "grid[0]",
        "grid[1]",
        "grid[2]",
        "grid[3]",
        "name",
        "mode",
        "g.q",
        "stamp",
    ]
    assert shown(layout, written(layout, "mode=ON"))["mode"] == "ON"


def test_other_types_of_a_header(header: Path) -> None:
    assert parse_header(HEADER, "union either", str(header)).size == 4
    assert parse_header(HEADER, "either", str(header)).name == "union either"
    assert [leaf.path for leaf in parse_header(HEADER, "chosen", str(header)).fields()] == ["big"]


def test_macros_that_are_not_understood_refuse_the_types_that_need_them(header: Path) -> None:
    assert parse_header(HEADER, "once", str(header)).size == 4
    with pytest.raises(InputError, match=r"point.h:\d+: an array's length: #TWICE is not a known constant"):
        parse_header(HEADER, "twice", str(header))
    for name, word in (("packed", "#TWICE"), ("also", "#TWICE"), ("again", "__unheard")):
        with pytest.raises(InputError, match=f"not understood at {word}"):
            parse_header(HEADER, name, str(header))


@pytest.mark.parametrize("name", ["nope", "struct config", "", "struct nope", "\x1b"])
def test_a_header_without_the_type_names_those_it_has(header: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_header(HEADER, name, str(header))
    assert "struct point" in str(caught.value.hint) and str(caught.value).isprintable()


def test_a_header_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^s\.h: no complete type is called s$") as caught:
        parse_header("/* nothing */", "s", "s.h")
    assert caught.value.hint == "it defines no type"


def test_a_header_that_is_too_long(tmp_path: Path) -> None:
    with (tmp_path / "long.h").open("wb") as file:
        file.truncate(HEADER_MAX + 1)
    with pytest.raises(InputError, match=r"long\.h: a header of more than 16 MiB is not read"):
        read_header(str(tmp_path / "long.h"))


def test_a_header_s_errors_say_the_line(tmp_path: Path) -> None:
    path = str(tmp_path / "point.h")
    text = "/* one\n two */\n#define X 1\nstruct a {\n  int b;\n\n  foo_t c;\n};\n"
    with pytest.raises(InputError, match=r"point.h:7: unknown type foo_t"):
        parse_header(text, "struct a", path)
    with pytest.raises(InputError, match=r"point.h:4: .*vector_size"):
        parse_header("#define V __attribute__((vector_size(16)))\n\n\nstruct a {int V b;};", "a", path)


def test_an_error_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "inner.h").write_text("\nstruct b {int x = 3;};\n")
    with pytest.raises(InputError, match=r"inner.h:2: not understood at ="):
        parse_header('#include "inner.h"\nstruct a {struct b y;};', "a", str(tmp_path / "outer.h"))


def test_includes_that_cannot_be_read_or_never_end(tmp_path: Path) -> None:
    path = str(tmp_path / "a.h")
    (tmp_path / "b.h").write_text('#include "b.h"\n')
    with pytest.raises(InputError, match=r"a.h:2: cannot read gone.h"):
        parse_header('\n#include "gone.h"\n', "a", path)
    # The first shows that devices are refused, where the second would not end.
    with pytest.raises(InputError, match=r"a.h:1: cannot read /dev/null"):
        parse_header('#include "/dev/null"\n', "a", path)
    with pytest.raises(InputError, match=r"a.h:1: cannot read /dev/zero"):
        parse_header('#include "/dev/zero"\n', "a", path)
    with pytest.raises(InputError, match=r"b.h:1: too many #include"):
        parse_header('#include "b.h"\n', "a", path)


def test_a_large_array_is_never_walked_to_find_one_element() -> None:
    layout = parse("int a[500000000]; int last")
    assert layout.select("a[499999999]")[0].offset == 4 * 499999999
    assert isinstance(layout, Layout)


def test_importing_loads_no_parser() -> None:
    code = "import sys, shmctl.core.layouts.load, shmctl.core.layouts.layout\n"
    code += "assert not any('declarations' in name or 'csource' in name for name in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_machine_s_layouts_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "x", "6", "1", "riscv64")))
    with pytest.raises(InputError, match="the layout of C's types on riscv64 is not known here"):
        parse("int a")
