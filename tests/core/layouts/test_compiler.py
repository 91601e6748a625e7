"""Headers by the compiler: what it says is the layout, and no header gets more than its share."""

import os
import time
from pathlib import Path

import pytest

from shmctl.core.errors import FileError, InputError
from shmctl.core.layouts import compiler
from shmctl.core.layouts.compiler import Options, find_compiler, load_header
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.load import Source, load, parse
from tests.support import PREFIX

HEADER = """
#include <stdint.h>
#include "sizes.h"
struct point { int x, y; };
typedef struct { struct point p[COUNT]; uint8_t b; } box_t;
enum color { RED, GREEN = 5 };
typedef uint16_t word;
struct later;
#ifdef WIDE
struct wide { long a, b; };
#endif
#if defined(__x86_64__) || defined(__aarch64__)
struct system { char c; _Alignas(16) int i; } __attribute__((packed));
#endif
"""


@pytest.fixture
def header(tmp_path: Path) -> str:
    (tmp_path / "p.h").write_text(HEADER)
    (tmp_path / "sizes.h").write_text("#define COUNT 2\n")
    return str(tmp_path / "p.h")


def compiled(path: str, name: str, *, words: tuple[str, ...] = ("cc",), **options: object) -> Layout:
    return load_header(path, name, Options(**options), words)  # type: ignore[arg-type]


def left() -> set[str]:
    return {name for name in os.listdir("/tmp") if name.startswith(f"shmctl-{os.getpid()}-")}


@pytest.mark.parametrize("words", [("gcc",), ("clang",), ("gcc", "-O2")])
def test_types_by_each_of_their_names(header: str, words: tuple[str, ...]) -> None:
    sizes = {"box_t": 20, "struct point": 8, "point": 8, "enum color": 4, "color": 4, "word": 2, "int": 4}
    for name, size in sizes.items():
        layout = compiled(header, name, words=words)
        assert layout.size == size
        assert layout.source == f"{words[0]}, {header}"
    system = compiled(header, "struct system", words=words)
    assert (system.size, system.alignment, system.select("i")[0].offset) == (32, 16, 16)
    assert not left()


def test_the_alignment_is_the_compiler_s(tmp_path: Path) -> None:
    """DWARF does not tell that a structure is packed."""
    (tmp_path / "a.h").write_text("struct __attribute__((packed)) s { int a, b; };")
    assert compiled(str(tmp_path / "a.h"), "s").alignment == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope", "no type is called nope"),
        ("struct nope", "struct nope is declared, and not defined"),
        ("later", "struct later is declared, and not defined"),
        ("", "is not the name of a type"),
        ("int; int x", "is not the name of a type"),
        ("-o /tmp/x", "is not the name of a type"),
        ('int"', "is not the name of a type"),
        ("point) __asm__(", "is not the name of a type|no type is called"),
    ],
)
def test_a_type_that_is_not_there(header: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compiled(header, name)


def test_near_names(header: str) -> None:
    with pytest.raises(InputError) as caught:
        compiled(header, "bxo_t")
    assert "box_t" in (caught.value.hint or "")


def test_folders_and_macros(header: str, tmp_path: Path) -> None:
    assert compiled(header, "wide", define=["WIDE"]).size == 16
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner.h").write_text("struct inner { char c[N]; };")
    outer = tmp_path / "outer.h"
    outer.write_text("#include <inner.h>\n")
    assert compiled(str(outer), "inner", include=[str(tmp_path / "sub")], define=["N=7"]).size == 7
    with pytest.raises(InputError, match="cc does not compile") as caught:
        compiled(str(outer), "inner")
    assert any("outer.h:1:10: fatal error: inner.h" in line for line in caught.value.transcript)
    for bad in ("-o", "1x", "a b", "X=\n1"):
        with pytest.raises(InputError, match="is not NAME or NAME=VALUE"):
            compiled(header, "point", define=[bad])


def test_no_name_becomes_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-c.h", "-o x.h", "@file.h", "a b.h", "=.h", "$(touch x).h", "é.h"):
        (tmp_path / name).write_text("struct s { int a; };")
        assert compiled(str(tmp_path / name), "s").size == 4
        folder = tmp_path / f"{name}d"
        folder.mkdir()
        (folder / "i.h").write_text("struct i { int a; };")
        (tmp_path / "uses.h").write_text("#include <i.h>\n")
        assert compiled(str(tmp_path / "uses.h"), "i", include=[folder.name]).size == 4
    (tmp_path / "-").mkdir()
    (tmp_path / "-" / "i.h").write_text("struct i { int a; };")
    assert compiled(str(tmp_path / "uses.h"), "i", include=["-"]).size == 4
    (tmp_path / 'q".h').write_text("struct s { int a; };")
    with pytest.raises(InputError, match="a quote or a line break"):
        compiled(str(tmp_path / 'q".h'), "s")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file() and path.suffix != ".h") == []


def test_cpp(tmp_path: Path) -> None:
    (tmp_path / "q.hpp").write_text(
        "#include <atomic>\nnamespace ns { enum class E : char { A }; struct Q { std::atomic<long> h; E e; };"
        " struct V { virtual ~V(); int x; }; template<class T> struct Box { T v; int n; };"
        " struct None { None(int); int q; }; }"
    )
    path = str(tmp_path / "q.hpp")
    sizes = {"ns::Q": 16, "ns::V": 16, "ns::Box<double>": 16, "ns::None": 4}
    for name, size in sizes.items():
        assert load(name, Source(header=path)).size == size
    (tmp_path / "plain.h").write_text("struct s { bool b; };")
    assert load("s", Source(header=str(tmp_path / "plain.h"), language="c++")).size == 1


def test_what_a_header_may_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "SECONDS", 3)
    path = tmp_path / "h.h"
    path.write_text('#include "h.h"\n')
    with pytest.raises(InputError, match="does not compile"):
        compiled(str(path), "int")
    path.write_text(
        "#define A0 x x x x x x x x x x\n"
        + "".join(f"#define A{n} {' '.join([f'A{n - 1}'] * 8)}\n" for n in range(1, 12))
        + "int y = 0 A11;\n"
    )
    start = time.monotonic()
    with pytest.raises(InputError, match="was stopped: it took more than 3 seconds"):
        compiled(str(path), "int")
    os.mkfifo(tmp_path / "fifo.h")
    with pytest.raises(InputError, match="not a regular file"):
        compiled(str(tmp_path / "fifo.h"), "int")
    path.write_text('#include "fifo.h"\n')
    with pytest.raises(InputError, match="was stopped"):
        compiled(str(path), "int")
    path.write_text('#include "/dev/stdin"\nstruct s { int a; };\n')
    assert compiled(str(path), "s").size == 4, "standard input is empty"
    assert time.monotonic() - start < 30
    assert not left()


def test_what_a_compiler_leaves_running_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "SECONDS", 1)
    script = tmp_path / "slow"
    script.write_text(f"#!/bin/sh\nsleep 47.{os.getpid()} & sleep 47.{os.getpid()}\n")
    script.chmod(0o755)
    (tmp_path / "a.h").write_text("struct s { int a; };")
    with pytest.raises(InputError, match="was stopped"):
        compiled(str(tmp_path / "a.h"), "s", words=(str(script),))
    time.sleep(0.2)
    commands = [Path(f"/proc/{pid}/cmdline") for pid in os.listdir("/proc") if pid.isdigit()]
    running = [
        path for path in commands if path.exists() and f"47.{os.getpid()}".encode() in path.read_bytes()
    ]
    assert running == []


def test_which_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", "gcc -m64  -O1")
    assert find_compiler(cpp=False) == ["gcc", "-m64", "-O1"]
    monkeypatch.setenv("SUDO_UID", "1000")
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler(cpp=False) == ["cc"], "sudo's caller does not choose what root runs"
    monkeypatch.setenv("PATH", path)
    monkeypatch.delenv("SUDO_UID")
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(InputError, match="CC: there is no program no-such-compiler"):
        find_compiler(cpp=False)
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler(cpp=False) is None
    (tmp_path / "clang++").write_text("")
    (tmp_path / "clang++").chmod(0o755)
    assert find_compiler(cpp=True) == ["clang++"]


def test_without_one_the_header_is_read_here(
    header: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"whether WIDE is defined is not known: <stdint\.h> is not read"):
        load("box_t", Source(header=header))
    settled = Source(header=header, define=["WIDE"])
    assert load("box_t", settled).size == 20
    assert load("struct system", settled).size == 32
    with pytest.raises(InputError, match=r"C\+\+ is for a compiler"):
        load("int", Source(header=header, language="c++"))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("__float128 x; char c", 32),
        ("typedef struct { typeof(int) x; char c; } t", 8),
        ("struct s { int x; [[gnu::packed]] int y; }", 8),
        ('struct __attribute__((scalar_storage_order("little-endian"))) s { int a; short b; }', 8),
    ],
)
def test_declarations_that_are_refused_here_go_to_the_compiler(text: str, size: int) -> None:
    layout = parse(text)
    assert layout.size == size
    assert layout.source == "cc, declaration"


def test_the_error_of_a_declaration_is_about_the_user_s_own_lines() -> None:
    with pytest.raises(InputError, match=r"^declaration:2: unknown type foo_t$"):
        parse("int a;\nfoo_t b;")


def test_the_hint_does_not_ask_for_a_compiler_that_is_there() -> None:
    with pytest.raises(InputError, match="unknown type foo_t") as caught:
        parse("int a; foo_t b")
    assert (
        caught.value.hint == "cc refuses it as well: --header FILE or --elf FILE says where a type is defined"
    )


def test_errors_in_a_declaration_of_cpp_are_the_compiler_s() -> None:
    assert load("struct s { bool b; char16_t c; }", Source(language="c++")).size == 4
    with pytest.raises(InputError, match=r"^'?c\+\+'? does not compile declaration$") as caught:
        load("int a;\nfoo b", Source(language="c++"))
    assert any(line.startswith("declaration:2:1: error: ") for line in caught.value.transcript)


def test_a_missing_header(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        compiled(f"{tmp_path}/{PREFIX}.h", "s")
