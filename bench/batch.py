"""batch: what a small write or read costs as a line, beside a fork and exec of /bin/true from a C loop.

The bar is 0.3 of the C loop's time. Usage: bench/batch.py [LINES]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR = 0.3
ROUNDS = 5
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


def seconds(*argv: str) -> float:
    start = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "loop.c"), f"{folder}/loop"
        source.write_text(FORK_AND_EXEC)
        subprocess.run(["gcc", "-O2", "-o", program, str(source)], check=True)
        scripts = {"": f"{folder}/empty"}
        Path(scripts[""]).write_text("")
        for index, (work, line) in enumerate(WORKS.items()):
            scripts[work] = f"{folder}/{index}"
            Path(scripts[work]).write_text(f"{line}\n" * LINES)
        ratios: dict[str, list[float]] = {work: [] for work in WORKS}
        each: dict[str, list[float]] = {work: [] for work in WORKS}
        loops = []
        for _ in range(ROUNDS):
            for work in WORKS:
                loop = seconds(program, str(LINES // 5)) / (LINES // 5)
                start_up = seconds("shmctl", "batch", scripts[""])
                line = (seconds("shmctl", "batch", scripts[work]) - start_up) / LINES
                loops.append(loop)
                each[work].append(line)
                ratios[work].append(line / loop)
    print(f"fork and exec of /bin/true: {statistics.median(loops) * 1e3:.3f} ms (median of {len(loops)})")
    missed = False
    for work in WORKS:
        ratio, low, high = statistics.median(ratios[work]), min(ratios[work]), max(ratios[work])
        missed |= low > BAR
        print(
            f"{work:22} {statistics.median(each[work]) * 1e3:.3f} ms a line, "
            f"{ratio:.2f} x ({low:.2f} to {high:.2f}), bar {BAR} x"
        )
    return int(missed)


if __name__ == "__main__":
    subprocess.run(["shmctl", "create", NAME, "-s", "64"], check=True)
    try:
        status = main()
    finally:
        subprocess.run(["shmctl", "unlink", NAME], check=True)
    sys.exit(status)
