"""metrics: what it prints, and the file that it replaces."""

import os
import re
import subprocess
import textwrap
import threading
from pathlib import Path

import pytest

from tests.documents import ROOT
from tests.scraping import families, samples
from tests.support import (
    NOBODY,
    as_nobody,
    done,
    in_tiny_shm,
    let_all_in,
    python_for_all,
    run,
    run_command,
    shmctl_argv,
)


def test_what_it_prints_is_what_promtool_wants() -> None:
    checked = run_command(["promtool", "check", "metrics"], stdin=done("metrics").encode())
    assert (checked.status, checked.text, checked.errors) == (0, "", "")


def test_all_are_gauges_that_tell_what_they_are() -> None:
    found = families(done("metrics"))
    assert found
    for name, family in found.items():
        assert family.type == "gauge"
        assert re.fullmatch(r"[A-Z].+\.", family.documentation)
        assert re.fullmatch(r"shmctl_[a-z]+(_[a-z]+)*", name)
        assert family.samples


def test_the_manual_page_has_the_same_metrics() -> None:
    found = families(done("metrics"))
    page = (ROOT / "man/src/metrics.md").read_text().partition("\n# METRICS\n")[2].partition("\n# ")[0]
    entries = re.findall(r"^`shmctl_(\w+)(?:\{([\w,]+)\})?`\n:   ((?:.+\n)+)", page, re.M)
    documented = {f"shmctl_{name}": (set(filter(None, labels.split(","))), " ".join(text.split()))
                  for name, labels, text in entries}  # fmt: skip
    assert documented == {
        name: (set(family.samples[0].labels), family.documentation) for name, family in found.items()
    }


def test_success_and_build() -> None:
    found = samples(done("metrics"))
    (build,) = [key for key in found if key.startswith("build_info")]
    version = done("--version").split()[1]
    assert f"version={version}" in build
    assert (found[build], found["collection_success"]) == (1, 1)


def test_target_is_a_label() -> None:
    own = done("--target", str(os.getpid()), "metrics")
    labels = [sample.labels for family in families(own).values() for sample in family.samples]
    assert {each["target"] for each in labels} == {str(os.getpid())}


def test_in_a_batch() -> None:
    """Its text comes between what the lines around it print."""
    script = b"ls -o name\nmetrics\nls -o name\n"
    result = run("--target", str(os.getpid()), "batch", stdin=script)
    assert (result.status, result.errors) == (0, "")
    lines = result.text.splitlines()
    first, last = (number for number, line in enumerate(lines) if line == "NAME")
    inside = lines.index(f'shmctl_collection_success{{target="{os.getpid()}"}} 1.0')
    assert first == 0 < inside < last


def test_a_minus_is_standard_output() -> None:
    assert done("metrics", "--output", "-").startswith("# HELP shmctl_")


def test_standard_output_that_is_full() -> None:
    argv = shmctl_argv("metrics")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b"shmctl: metrics: standard output: No space left on device (ENOSPC)\n"


def test_one_thing_at_a_time() -> None:
    result = run("metrics", "--output", "x", "--listen", "9100")
    assert (result.status, result.text) == (2, "")


# --output


def umask_077() -> None:
    os.umask(0o077)


@pytest.mark.parametrize("spelling", ["shmctl.prom", "./shmctl.prom", "../{folder}/shmctl.prom", "{whole}"])
def test_file_is_made_and_replaced(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "shmctl.prom"
    file = spelling.format(folder=tmp_path.name, whole=path)
    for _ in range(2):
        made = subprocess.run(
            shmctl_argv("metrics", "--output", file), cwd=tmp_path, preexec_fn=umask_077, check=True
        )
        assert made.returncode == 0
        assert samples(path.read_text())["collection_success"] == 1
        assert path.stat().st_mode == 0o100644
        assert os.listdir(tmp_path) == [path.name]


def test_a_name_may_be_as_long_as_names_get(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".prom")
    done("metrics", "--output", str(path))
    assert os.listdir(tmp_path) == [path.name]


def test_who_reads_it_never_sees_half(tmp_path: Path) -> None:
    path = tmp_path / "shmctl.prom"
    done("metrics", "--output", str(path))
    stop = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not stop.is_set():
            seen.append(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(5):
            done("metrics", "--output", str(path))
    finally:
        stop.set()
        reader.join()
    last_lines = {text.splitlines()[-1].partition("{")[0] for text in seen}
    assert last_lines == {"shmctl_build_info"}
    assert len(set(seen)) > 1


def identity(path: Path | str) -> tuple[int, int]:
    st = os.lstat(path)
    return st.st_ino, st.st_mode


KINDS = {
    "symlink": ("a symbolic link", "ELOOP"),
    "dangling symlink": ("a symbolic link", "ELOOP"),
    "directory": ("a directory", "EISDIR"),
    "fifo": ("a FIFO", "EINVAL"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_file_is_replaced(tmp_path: Path, kind: str) -> None:
    path, elsewhere = tmp_path / "shmctl.prom", tmp_path / "elsewhere"
    if kind == "symlink":
        elsewhere.write_text("as it was")
        path.symlink_to(elsewhere)
    elif kind == "dangling symlink":
        path.symlink_to(elsewhere)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    before = identity(path), sorted(os.listdir(tmp_path))
    result = run("metrics", "--output", str(path))
    what, symbol = KINDS[kind]
    assert result.errors == f"shmctl: metrics: {path}: it is {what}, which is not replaced ({symbol})\n"
    assert (result.status, result.text) == (1, "")
    assert (identity(path), sorted(os.listdir(tmp_path))) == before
    assert kind != "symlink" or elsewhere.read_text() == "as it was"


def test_devices_are_left_alone() -> None:
    """Root could replace them."""
    before = identity("/dev/stdout"), identity("/dev/null")
    for path in ("/dev/stdout", "/dev/null"):
        assert run("metrics", "--output", path).status == 1
    assert (identity("/dev/stdout"), identity("/dev/null")) == before


def test_no_such_directory(tmp_path: Path) -> None:
    for path in (f"{tmp_path}/none/shmctl.prom", f"{tmp_path}/none/"):
        result = run("metrics", "--output", path)
        assert result.errors == f"shmctl: metrics: {path}: No such file or directory (ENOENT)\n"
        assert result.status == 1


@pytest.mark.parametrize("call", ["write", "fchmod", "/^rename"])
def test_a_failure_leaves_what_was_there(tmp_path: Path, call: str) -> None:
    path = tmp_path / "shmctl.prom"
    path.write_text("as it was")
    argv = ["strace", "-qq", "-o", "/dev/null", "-e", f"inject={call}:error=EIO:when=1"]
    result = run_command([*argv, *shmctl_argv("metrics", "--output", str(path))])
    assert (result.status, result.errors) == (1, f"shmctl: metrics: {path}: Input/output error (EIO)\n")
    assert path.read_text() == "as it was"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("call", ["fchmod", "/^rename"])
def test_a_signal_leaves_nothing_half_done(tmp_path: Path, call: str) -> None:
    path = tmp_path / "shmctl.prom"
    argv = ["strace", "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=TERM"]
    result = run_command([*argv, *shmctl_argv("metrics", "--output", str(path))])
    assert (result.status, result.errors) == (143, "")
    assert os.listdir(tmp_path) == [path.name]
    assert samples(path.read_text())["collection_success"] == 1


@pytest.mark.needs_root
def test_a_full_file_system_leaves_what_was_there() -> None:
    script = """
        mkdir /dev/shm/files && mount -t tmpfs -o size=8k tmpfs /dev/shm/files && cd /dev/shm/files
        echo as it was > shmctl.prom
        shmctl metrics --output shmctl.prom; echo "status $?"
        cat shmctl.prom; ls -A
    """
    result = in_tiny_shm(textwrap.dedent(script))
    assert result.text == "status 1\nas it was\nshmctl.prom\n"
    assert result.errors == "shmctl: metrics: shmctl.prom: No space left on device (ENOSPC)\n"


@pytest.mark.needs_root
def test_a_directory_of_somebody_else(tmp_path: Path) -> None:
    let_all_in(tmp_path)
    path = tmp_path / "shmctl.prom"
    argv = as_nobody(shmctl_argv("metrics", "--output", str(path), python=python_for_all()))
    result = run_command(argv, env={"HOME": "/nonexistent"})
    assert result.errors == f"shmctl: metrics: {path}: Permission denied (EACCES)\n"
    os.chown(tmp_path, NOBODY, NOBODY)
    assert run_command(argv, env={"HOME": "/nonexistent"}).status == 0
    assert path.stat().st_uid == NOBODY
