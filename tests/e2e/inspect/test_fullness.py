"""How full /dev/shm is and was: df --watch, wait --fuller-than, and System V segments beside it."""

import json
import resource
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal
from tests.support import compile_c, in_tiny_shm, run, run_command, shmctl_argv

MIB = 1 << 20
# Takes three pages of a System V segment, and leaves them.
SYSTEM_V = r"""
#include <stdio.h>
#include <sys/shm.h>
int main(void)
{
    int id = shmget(IPC_PRIVATE, 1 << 20, 0600);
    volatile char *p = shmat(id, NULL, 0);
    if (id < 0 || p == (void *)-1) return 3;
    p[0] = p[8192] = p[40960] = 1;
    return 0;
}
"""


@pytest.mark.needs_root
def test_what_was_full_for_a_moment_shows_afterwards() -> None:
    """Between two looks, and in every later one; the use itself is what it is."""
    script = """
        coproc DF { exec "$0" -m shmctl df --watch=0.8 --json; }
        read -r first <&"${DF[0]}"
        head -c 1M /dev/zero > /dev/shm/x; date +%s.%N; sleep 0.2; rm /dev/shm/x
        read -r second <&"${DF[0]}"; read -r third <&"${DF[0]}"
        kill "$DF_PID"
        printf '%s\\n' "$first" "$second" "$third"
    """
    filled, *lines = in_tiny_shm(script.replace("$0", sys.executable)).text.splitlines()
    first, second, third = map(json.loads, lines)
    assert (first["used"], first["highest_used"], first["capacity"]) == (0, 0, MIB)
    assert (second["used"], second["highest_used"]) == (0, MIB)
    assert -0.05 < datetime.fromisoformat(second["highest_time"]).timestamp() - float(filled) < 0.3
    assert (third["highest_used"], third["highest_time"]) == (MIB, second["highest_time"])
    assert third["time"] > second["time"] > second["highest_time"]


@pytest.mark.needs_root
def test_the_highest_use_in_text() -> None:
    script = """
        head -c 512K /dev/zero > /dev/shm/x
        timeout 1.5 "$0" -m shmctl df --all --watch=10; "$0" -m shmctl df
    """
    lines = in_tiny_shm(script.replace("$0", sys.executable)).text.splitlines()
    highest = [line for line in lines if "highest" in line]
    assert len(highest) == len([line for line in lines if " capacity " in line]) - 1, lines
    assert any(line.split()[:4] == ["total", "highest", "524288", "50%,"] for line in highest)


def test_watched_on_a_terminal() -> None:
    with Terminal(shmctl_argv("df", "--watch=0.2")) as terminal:
        terminal.until(b"highest")
        terminal.type(b"q")
        assert terminal.end().status == 0


@pytest.mark.needs_root
@pytest.mark.parametrize("use", ["90%", "943718", "0x0E6666", "0.5%"])
def test_wait_until_it_is_fuller(use: str) -> None:
    """90 % of 1 MiB are 943718 bytes; the file that comes half a second later is larger."""
    script = f"""
        (sleep 0.5; head -c 950272 /dev/zero > /dev/shm/x) &
        shmctl wait --fuller-than {use} --timeout 20 --print; echo $?; wait
    """
    used, status = in_tiny_shm(script).text.split()
    assert (0 < int(used) <= 950272, status) == (True, "0")


@pytest.mark.needs_root
@pytest.mark.parametrize(("use", "size"), [("50%", 512), ("512K", 512), ("99.9%", 1020), ("1M", 1024)])
def test_as_full_is_not_fuller(use: str, size: int) -> None:
    script = f"head -c {size}K /dev/zero > /dev/shm/x; shmctl wait --fuller-than {use} --timeout 0.1"
    result = in_tiny_shm(script)
    assert (result.status, result.text) == (124, "")
    assert result.errors == "shmctl: wait: /dev/shm: timed out after 0.1 s (ETIMEDOUT)\n"


@pytest.mark.needs_root
def test_a_file_system_without_a_limit() -> None:
    result = in_tiny_shm("shmctl wait --fuller-than 1% --timeout 9", size="0,nr_inodes=0")
    assert (result.status, result.text) == (1, "")
    assert "it has no limit" in result.errors


@pytest.mark.parametrize(
    "words",
    [
        ["/x", "--fuller-than", "90%"],
        ["--fuller-than", "90%", "--gone"],
        ["--fuller-than", "90%", "--type", "int8"],
        ["--fuller-than", "100%"],
        ["--fuller-than", "-1%"],
        ["--fuller-than", "%"],
        ["--fuller-than", "9 %"],
        ["--fuller-than", "much"],
        ["--timeout", "1"],
    ],
)
def test_refused(words: list[str]) -> None:
    result = run("wait", *words)
    assert (result.status, result.out) == (2, b""), result


@pytest.mark.alone
def test_an_idle_wait_is_cheap() -> None:
    def spent(seconds: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run("wait", "--fuller-than", "99.9%", "--timeout", seconds).status == 124
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    start_up = min(spent("0") for _ in range(3))
    assert spent("2") - start_up < 0.1


@pytest.mark.needs_root
def test_system_v_segments(tmp_path: Path) -> None:
    """Their memory is in no part of /dev/shm: a row says how much it is, and whom to ask."""
    program = compile_c(SYSTEM_V, tmp_path)
    script = f"""
        shmctl df; {program}; {program}; ipcmk -M 1M >/dev/null; shmctl df; shmctl df --json
    """
    argv = ["unshare", "--ipc", "bash", "-c", f'shmctl() {{ {sys.executable} -m shmctl "$@"; }}\n{script}']
    lines = run_command(argv).text.splitlines()
    rows = [line for line in lines if line.startswith("system-v")]
    assert [row.split()[:3] for row in rows] == [["system-v", "segments", str(6 * 4096)]]
    assert "2 in memory, outside /dev/shm: see ipcs(1), lsipc(1)" in rows[0]
    assert json.loads("".join(lines[lines.index("[") :]))[0]["system_v"] == 6 * 4096
