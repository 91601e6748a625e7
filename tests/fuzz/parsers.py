"""Coverage-guided fuzzing of one parser, by hand: what is no error of the user's is a crash.

    pip install atheris
    python tests/fuzz/parsers.py declarations -max_total_time=600 -timeout=10 -rss_limit_mb=2000

The first argument names the parser; the rest is libFuzzer's. A crash leaves its input in a file, and
``python tests/fuzz/parsers.py declarations FILE`` runs it again.
"""

import sys
from collections.abc import Callable
from functools import partial

import atheris

with atheris.instrument_imports(include=["shmctl"]):
    from shmctl.cli.batch import split_words
    from shmctl.core.errors import InputError
    from shmctl.core.inspect.family_files import parse_families
    from shmctl.core.inspect.listing import matcher
    from shmctl.core.layouts import scalars
    from shmctl.core.layouts.declarations import from_declaration, from_header
    from shmctl.core.layouts.layout import Layout
    from shmctl.core.layouts.values import to_text
    from shmctl.core.names import escape, parse_name
    from shmctl.core.size_change import parse_resize
    from shmctl.core.sizes import parse_duration, parse_mode, parse_size
    from shmctl.core.sync.conditions import parse_scalar_conditions, parse_struct_conditions
    from shmctl.render.statformat import check_format

LAYOUT = from_declaration("int a; char b[4]; short c:3, d:5; struct { float x[2]; } in; enum { A, B } e;")


def declarations(text: str) -> None:
    """What is understood can be read, spelled and searched, if it is small."""
    read(from_declaration(text))


def headers(text: str) -> None:
    name, _, header = text.partition("\n")
    read(from_header(header, name, "header.h"))


def read(layout: Layout) -> None:
    if layout.size < 10_000:
        data = bytes(range(256)) * 40
        for field in layout.fields():
            to_text(layout.read(data, field))
        layout.tree(data[: layout.size])


def families(text: str) -> None:
    parse_families(text, "families.toml")


def numbers(text: str) -> None:
    for parse in (parse_size, parse_resize, parse_duration, parse_mode):
        tolerate(parse, text)
    for name in ("int8", "uint64", "float", "double", "char", "bool", "long double"):
        tolerate(partial(packed, name), text)
    scalars.lookup(text)


def packed(name: str, text: str) -> bytes:
    return scalars.pack(scalars.lookup(name), [text], None)


def names(text: str) -> None:
    assert parse_name(parse_name(text)) == parse_name(text)
    assert escape(text).isprintable()
    matcher([text])(parse_name("/abc"))


def formats(text: str) -> None:
    check_format(text)


def conditions(text: str) -> None:
    tolerate(lambda condition: parse_scalar_conditions("int", None, [condition]), text)
    parse_struct_conditions(LAYOUT, [text])


def assignments(text: str) -> None:
    LAYOUT.stores([text], lambda start, length: bytes(length))


def lines(text: str) -> None:
    split_words(text)


TARGETS: dict[str, Callable[[str], None]] = {
    target.__name__: target
    for target in (
        declarations, headers, families, numbers, names, formats, conditions, assignments, lines,
    )
}  # fmt: skip


def tolerate(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except InputError as error:
        assert str(error)


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(TARGETS)} [libFuzzer's options]")
    target = TARGETS[sys.argv.pop(1)]

    def test(data: bytes) -> None:
        # As Python has a command line: other bytes than UTF-8 come as surrogates.
        tolerate(target, data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))

    atheris.Setup(sys.argv, test)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
