import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmctl.core.errors import InputError
from shmctl.core.names import escape, is_semaphore, parse_name, printable, shell_words

valid_names = st.binary(min_size=1, max_size=255).filter(
    lambda b: b"/" not in b and b"\0" not in b and b not in (b".", b"..")
)


@given(valid_names)
def test_three_spellings_mean_the_same_object(bare: bytes) -> None:
    spellings = (b"/" + bare, bare, b"/dev/shm/" + bare)
    assert {parse_name(spelling) for spelling in spellings} == {b"/" + bare}
    assert parse_name(os.fsdecode(bare)) == b"/" + bare


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "/",
        ".",
        "..",
        "/.",
        "/..",
        "a/b",
        "/a/b",
        "//a",
        "a/",
        "/dev/shm/",
        "/dev/shm/a/b",
        "/dev/shm",
        "a\0b",
        "x" * 256,
    ],
)
def test_names_that_no_object_can_have(bad: str) -> None:
    with pytest.raises(InputError, match="invalid object name"):
        parse_name(bad)


def test_the_longest_name() -> None:
    assert parse_name("é" * 127 + "x") == b"/" + "é".encode() * 127 + b"x"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"/shmtest", "/shmtest"),
        (b"/a b", r"/a\x20b"),
        (b"/x\x1b[2J\n", r"/x\x1b[2J\n"),
        (b"/\xff\xfe", r"/\xff\xfe"),
        (b"/it's", r"/it\x27s"),
        (b'/"q"', r"/\x22q\x22"),
        (b"/back\\slash", r"/back\\slash"),
        ("/é日本".encode(), "/é日本"),
        ("/\u202ertl".encode(), r"/\xe2\x80\xaertl"),
        (b"/[bold]x", "/[bold]x"),
    ],
)
def test_escaped_names(raw: bytes, shown: str) -> None:
    assert escape(raw) == shown


@given(st.binary())
def test_escaped_text_is_one_safe_word_and_unambiguous(raw: bytes) -> None:
    shown = escape(raw)
    assert shown.isprintable()
    assert not set(shown) & set(" '\"\t\n")
    back = shown.encode("utf-8").decode("unicode_escape", "strict") if shown.isascii() else None
    if back is not None:
        assert back.encode("latin-1") == raw


@given(st.text())
def test_printable_sentences_keep_what_prints(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


def test_semaphores_are_known_by_name() -> None:
    assert is_semaphore(parse_name("sem.x"))
    assert not is_semaphore(parse_name("semaphore"))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"'"))), max_size=5))
def test_words_are_the_shells_again(words: list[str]) -> None:
    quoted = shell_words(words)
    assert quoted.isprintable()
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {quoted}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == ([os.fsencode(word) for word in words] or [b""])
