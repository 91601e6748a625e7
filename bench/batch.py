"""batch: what a small write or read costs as a line, beside a fork and exec of /bin/true from a C loop.

The bar is 0.35 of the C loop's time. Usage: bench/batch.py [LINES]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pairs import compare, report, run, shmctl, take_turns

BAR = 0.35
ROUNDS = 9
LINES = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
NAME = f"/shmctl-bench-{os.getpid()}-batch"
FORK_AND_EXEC = r"""
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    for (int left = atoi(argv[1]); left > 0; left--) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(127);
        }
        waitpid(pid, NULL, 0);
    }
}
"""
WORKS = {
    "write 8 bytes of text": f"write {NAME} -o 8 abcdefgh",
    "write an int64": f"write {NAME} --type int64 -o 8 12345",
    "read 8 bytes": f"read {NAME} -o 8 -n 8",
    "read an int64": f"read {NAME} --type int64 -o 8",
}


def prepare(folder: str) -> tuple[str, dict[str, str]]:
    """The C loop's program, and a script for each work; the one called "" is empty."""
    source, program = Path(folder, "loop.c"), f"{folder}/loop"
    source.write_text(FORK_AND_EXEC)
    subprocess.run(["gcc", "-O2", "-o", program, str(source)], check=True)
    scripts = {}
    for index, (work, line) in enumerate({"": "", **WORKS}.items()):
        scripts[work] = f"{folder}/{index}"
        Path(scripts[work]).write_text(f"{line}\n" * LINES if line else "")
    return program, scripts


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        program, scripts = prepare(folder)
        loops = LINES // 5
        ways = {
            work: lambda script=script: run(shmctl("batch", script)).seconds
            for work, script in scripts.items()
        }
        turns = take_turns({**ways, "loop": lambda: run([program, str(loops)]).seconds}, ROUNDS)
    peer = [seconds / loops for seconds in turns["loop"]]
    held = True
    for work in WORKS:
        # What is left without the start of the process, per line.
        lines = [(whole - start) / LINES for whole, start in zip(turns[work], turns[""], strict=True)]
        times = ("a line", lines), ("fork and exec of /bin/true", peer)
        held &= report(work, compare(lines, peer), BAR, *times)
    return 0 if held else 1


if __name__ == "__main__":
    run(shmctl("create", NAME, "-s", "64"))
    try:
        status = main()
    finally:
        run(shmctl("unlink", NAME))
    sys.exit(status)
