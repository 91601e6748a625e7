"""shmctl rm and shmctl unlink."""

import os

import pytest

from tests.support import done, path_of, run


def make(*names: str) -> None:
    for name in names:
        path_of(name).touch()


def there(names: list[str]) -> list[bool]:
    return [os.path.lexists(path_of(name)) for name in names]


def test_rm(names: list[str]) -> None:
    make(*names)
    assert done("rm", names[0], names[1][1:], "/dev/shm" + names[2]) == ""
    assert there(names) == [False] * 3


def test_many_operands(names: list[str]) -> None:
    make(names[0], names[2])
    result = run("rm", *names)
    assert (result.status, result.out) == (1, b"")
    assert result.errors == f"shmctl: rm: {names[1]}: No such file or directory (ENOENT)\n"
    assert there(names) == [False] * 3


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=str)
def test_the_same_name_twice(names: list[str], options: list[str]) -> None:
    """The second is gone by then, as for rm(1); a pattern matches only what is left."""
    make(*names)
    gone = f"shmctl: rm: {names[0]}: No such file or directory (ENOENT)\n"
    result = run("rm", *options, names[0], f"/dev/shm{names[0]}", names[1])
    assert (result.status, result.errors) == (1, gone)
    assert there(names) == ([False, False, True] if not options else [True] * 3)
    make(*names)
    done("rm", *options, "-f", names[0], names[0])
    make(*names)
    result = run("rm", *options, names[2], "*" + names[2][1:], names[1], names[2][:-1] + "*")
    assert (result.status, result.errors) == (0, "")


def test_force(names: list[str]) -> None:
    make(names[1])
    assert done("rm", "-f", *names) == ""
    assert there(names) == [False] * 3
    assert done("rm", "--force") == ""
    assert done("rm", "-f", names[0] + "*") == ""
    assert run("rm").status == 2


def test_force_does_not_hide_other_errors(name: str) -> None:
    path_of(name).mkdir()
    result = run("rm", "-f", name)
    assert result.status == 1
    assert "EISDIR" in result.errors
    assert run("rm", "-f", "a/b").status == 2


def test_verbose_and_dry_run(names: list[str]) -> None:
    make(*names[:2])
    shown = done("rm", "-n", *names[:2])
    assert there(names) == [True, True, False]
    assert [line.split()[-1] for line in shown.splitlines()] == names[:2]
    assert "would" in shown
    result = run("rm", "--dry-run", names[2])
    assert result.status == 1
    assert "ENOENT" in result.errors
    shown = done("rm", "-v", *names[:2])
    assert [line.split()[-1] for line in shown.splitlines()] == names[:2]
    assert "would" not in shown
    assert there(names) == [False] * 3


def test_dry_run_wins_over_force_and_asking(name: str) -> None:
    make(name)
    done("rm", "-n", "-f", name)
    done("rm", "-n", "-i", name)
    assert path_of(name).exists()


def test_patterns(name: str) -> None:
    made = [f"{name}-{end}" for end in ("a1", "a2", "b1", "ab", ".hidden")]
    make(*made)
    done("rm", f"{name}-a?")
    assert there(made) == [False, False, True, False, True]
    done("rm", f"{name}-[!a]1", f"{name}-*")
    assert there(made) == [False] * 5


def test_a_pattern_without_a_match(names: list[str]) -> None:
    make(names[2])
    result = run("rm", names[0] + "*", names[2])
    assert result.status == 1
    assert names[0] + "*" in result.errors
    assert there(names) == [False] * 3


def test_literal_glob_characters(name: str) -> None:
    """A name that exists is taken as it stands, and nothing that it would match goes with it."""
    literal, others = f"{name}-[ab]*?", [f"{name}-a", f"{name}-[ab]xy", f"{name}-bzz"]
    make(literal, *others)
    done("rm", literal)
    assert not path_of(literal).exists()
    assert there(others) == [True] * 3
    done("rm", literal)
    assert there(others) == [True, True, False], "now it is a pattern: a or b, anything, one character"


@pytest.mark.parametrize("answer", ["y", "Y", "yes"])
def test_interactive(names: list[str], answer: str) -> None:
    make(*names)
    result = run("rm", "-i", *names, stdin=f"{answer}\nn\n\n".encode())
    assert (result.status, result.out) == (0, b"")
    assert there(names) == [False, True, True]
    assert all(name in result.errors for name in names)


@pytest.mark.parametrize(("args", "gone"), [(["-i", "-f"], True), (["-f", "-i"], False)])
def test_last_of_force_and_interactive_wins(name: str, args: list[str], gone: bool) -> None:
    make(name)
    run("rm", *args, name, stdin=b"n\n")
    assert path_of(name).exists() != gone


def test_unlink(name: str) -> None:
    make(name)
    assert done("unlink", name) == ""
    assert not path_of(name).exists()
    result = run("unlink", name)
    assert (result.status, result.out) == (1, b"")
    assert result.errors == f"shmctl: unlink: {name}: No such file or directory (ENOENT)\n"


@pytest.mark.parametrize("args", [[], ["NAME", "NAME"], ["-f", "NAME"], ["-v", "NAME"]], ids=" ".join)
def test_unlink_takes_one_name_and_no_option(name: str, args: list[str]) -> None:
    make(name)
    assert run("unlink", *(name if part == "NAME" else part for part in args)).status == 2
    assert path_of(name).exists()


def test_unlink_knows_no_patterns(name: str) -> None:
    make(name)
    result = run("unlink", name + "*")
    assert result.status == 1
    assert "ENOENT" in result.errors
    assert path_of(name).exists()
