"""A full /dev/shm of one mebibyte: errors that say so, never SIGBUS, and nothing half made or half lost."""

import pytest

from tests.support import Result, in_tiny_shm

pytestmark = pytest.mark.needs_root

# Takes all the memory there is, and shows how each object is afterwards.
FULL = """
fill() { dd if=/dev/zero of=/dev/shm/filler bs=64k status=none 2>/dev/null; true; }
sizes() { stat -c '%n %s' /dev/shm/* | grep -v filler; }
"""


def tiny(script: str) -> Result:
    return in_tiny_shm(FULL + script)


def refused(result: Result, commands: int = 1) -> None:
    """Each command, whose status the script printed as status=N, has ended with 1 and named the place."""
    statuses = [line for line in result.text.splitlines() if line.startswith("status=")]
    assert statuses == ["status=1"] * commands, result
    errors = [line for line in result.errors.splitlines() if line.startswith("shmctl: ")]
    assert len(errors) == commands, result
    for line in errors:
        assert "/dev/shm" in line, result
        assert "ENOSPC" in line, result
    assert "disk" not in result.errors.lower()
    assert "device" not in result.errors.lower()


@pytest.mark.parametrize("options", ["", "--no-excl", "--no-excl --trunc"])
def test_reserve_over_capacity(options: str) -> None:
    result = tiny(f"shmctl create /x -s 2M --reserve {options}; echo status=$?; ls -A /dev/shm")
    refused(result)
    assert result.text == "status=1\n"


def test_reserve_of_what_exists() -> None:
    """Neither its size nor its content changes, nor is memory kept that was not there before."""
    result = tiny("""
        printf content > /dev/shm/x
        shmctl create /x -s 2M --reserve --no-excl; echo status=$?
        stat -c '%s %b' /dev/shm/x; cat /dev/shm/x""")
    refused(result)
    assert result.text == "status=1\n7 8\ncontent"


def test_reserve_that_shrinks_and_fails() -> None:
    """An object that is to become smaller keeps its size, too, when its holes cannot be filled."""
    result = tiny("""
        printf content > /dev/shm/x; truncate -s 3M /dev/shm/x
        shmctl create /x -s 2M --reserve --no-excl; echo status=$?
        stat -c '%s %b' /dev/shm/x; head -c 7 /dev/shm/x""")
    refused(result)
    assert result.text == "status=1\n3145728 8\ncontent"


def test_several_creates_go_on() -> None:
    result = tiny("shmctl create /a /b /c -s 400K --reserve; echo status=$?; sizes")
    refused(result)
    assert result.text == "status=1\n/dev/shm/a 409600\n/dev/shm/b 409600\n"


SOURCES = {
    "VALUE": "shmctl write /x hello",
    "VALUE at an offset": "shmctl write /x hello -o 500000",
    "type": "shmctl write /x --type int64 1 2 3",
    "hex": "shmctl write /x --hex ffff -o 8191",
    "fill": "shmctl write /x --fill 255",
    "fill length": "shmctl write /x --fill 255 -n 100",
    "struct": "shmctl write /x --struct 'int a; int b' b=5",
    "stdin, short": "printf hello | shmctl write /x",
    "stdin, redirected": "printf hello > /tmp/$$ ; shmctl write /x < /tmp/$$; s=$?; rm /tmp/$$; (exit $s)",
    "file": "head -c 600000 /dev/urandom > /tmp/$$ ; shmctl write /x -i /tmp/$$; s=$?; rm /tmp/$$; (exit $s)",
    "locked": "shmctl write /x hello --lock",
}


@pytest.mark.parametrize("command", SOURCES.values(), ids=SOURCES.keys())
def test_write_into_a_sparse_object(command: str) -> None:
    """Where the length is known, nothing is stored and nothing is allocated."""
    result = tiny(f"""
        truncate -s 1M /dev/shm/x; fill
        {command}
        echo status=$?
        rm /dev/shm/filler; stat -c '%s %b' /dev/shm/x; tr -d '\\0' < /dev/shm/x | wc -c""")
    refused(result)
    assert result.text == "status=1\n1048576 0\n0\n", result


def test_write_a_long_pipe_into_a_sparse_object() -> None:
    """A stream of unknown length goes in as far as it can, and the message says how far."""
    result = tiny("""
        truncate -s 4M /dev/shm/x
        head -c 3M /dev/urandom | tee /tmp/$$ | shmctl write /x
        echo status=$?
        stat -c '%s' /dev/shm/x; cmp -n 1000000 /tmp/$$ /dev/shm/x && echo same; rm /tmp/$$""")
    refused(result)
    assert result.text == "status=1\n4194304\nsame\n", result
    assert "after 1048576 bytes" in result.errors


def test_overwriting_needs_no_memory() -> None:
    result = tiny("""
        printf '%4096s' old > /dev/shm/x; fill
        shmctl write /x new && shmctl write /x --fill 7 -o 3 && printf tail | shmctl write /x -o 4092
        echo status=$?; shmctl read /x --text -n 3; tail -c 4 /dev/shm/x""")
    assert result == Result(0, b"status=0\nnewtail", b"")


@pytest.mark.parametrize("options", ["--grow", "--exact", "--grow --lock"])
@pytest.mark.parametrize(
    "source",
    [
        "shmctl write /x -o 5000 hello",
        "shmctl write /x --fill 1 -n 100K",
        "head -c 100K /dev/zero > /tmp/$$; shmctl write /x -i /tmp/$$",
        "head -c 100 /dev/zero | shmctl write /x -o 9000",
        "head -c 2M /dev/zero | shmctl write /x",
    ],
    ids=["VALUE", "fill", "file", "short pipe", "long pipe"],
)
def test_growing(source: str, options: str) -> None:
    """The object gets its old size back."""
    result = tiny(f"""
        printf content > /dev/shm/x; fill
        {source} {options}
        echo status=$?
        rm -f /tmp/$$; stat -c '%s %b' /dev/shm/x; cat /dev/shm/x""")
    refused(result)
    # Only of a stream whose length nothing told is a part in before the end shows.
    stored = bytes(7) if "2M" in source else b"content"
    assert result.out == b"status=1\n7 8\n" + stored, result


@pytest.mark.parametrize(
    "source",
    [
        "shmctl write /y --create hello",
        "shmctl write /y --create --fill 1 -n 4K",
        "shmctl write /y --create --hex 00",
        "shmctl write /y --create --type int 1",
        "head -c 100 /dev/zero | shmctl write /y --create",
        "head -c 2M /dev/zero | shmctl write /y --create",
        "head -c 2M /dev/zero > /tmp/$$; shmctl write /y --create -i /tmp/$$",
    ],
)
def test_what_was_made_goes(source: str) -> None:
    result = tiny(f"fill; {source}; echo status=$?; rm -f /tmp/$$; ls -A /dev/shm")
    refused(result)
    assert result.text == "status=1\nfiller\n"


def test_create_without_reserve_makes_a_sparse_object() -> None:
    """As ftruncate does: the memory comes, or does not, when it is first stored into."""
    result = tiny("fill; shmctl create /x -s 8M; echo status=$?; stat -c '%s %b' /dev/shm/x")
    assert result == Result(0, b"status=0\n8388608 0\n", b"")


def test_reading_a_sparse_object() -> None:
    """Its holes read as zeros, in every form, and take no memory."""
    result = tiny("""
        truncate -s 1M /dev/shm/x; fill
        shmctl read /x | cmp - <(head -c 1M /dev/zero) && echo raw
        shmctl read /x > /tmp/$$ && cmp /tmp/$$ <(head -c 1M /dev/zero) && echo file; rm /tmp/$$
        shmctl read /x --hex | cmp - <(head -c 1M /dev/zero | hexdump -C) && echo hex
        shmctl read /x --text | wc -c
        shmctl read /x --type int64 -o 4096
        shmctl read /x --type uint8 -c 100000 | sort -u
        shmctl read /x --struct 'int a; char b[4]' -o 9999
        shmctl read /x --json | tr -d '0' | wc -l
        shmctl read /x --lock -o 1048575 | od -An -tx1 | tr -d " "
        stat -c '%b' /dev/shm/x""")
    assert result.err == b"", result
    assert result.text == "raw\nfile\nhex\n0\n0\n0\na=0\nb=\n3\n00\n0\n", result


def test_reading_half_sparse_pages() -> None:
    """Data and holes in turn, on a full tmpfs."""
    result = tiny("""
        for page in 1 5 6 100; do
            printf page$page | dd of=/dev/shm/x bs=4096 seek=$page conv=notrunc status=none
        done
        truncate -s 500001 /dev/shm/x; cp /dev/shm/x /tmp/$$; fill
        shmctl read /x | cmp - /tmp/$$ && shmctl read /x --hex | cmp - <(hexdump -C /tmp/$$) && echo same
        shmctl read /x --type char -c 5 -o 4096 | tr -d '\\n'
        shmctl read /x --type char -c 9000 -o 4090 | tr -d '\\n' | wc -c
        rm /tmp/$$""")
    assert result.err == b"", result
    assert result.text.startswith("same\npage1"), result


def test_other_commands_work_when_it_is_full() -> None:
    result = tiny("""
        truncate -s 100 /dev/shm/x; fill
        shmctl ls --no-headings -o name | sort | tr '\\n' ' '; shmctl stat /x -f '%s '
        shmctl chmod 644 /x && shmctl truncate /x -s 10M && shmctl truncate /x -s 0
        shmctl rm /x /filler; echo $?""")
    assert result == Result(0, b"/filler /x 100 \n0\n", b"")


def test_no_more_inodes() -> None:
    """A tmpfs can also run out of names."""
    result = in_tiny_shm("""
        mount -o remount,nr_inodes=2 /dev/shm
        shmctl create /a && shmctl create /b; echo status=$?; ls /dev/shm""")
    refused(result)
    assert result.text == "status=1\na\n"
